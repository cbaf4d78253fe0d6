// worker/evaluator_protocol.h
// The evaluator process protocol: what parent and child say to each other over
// a socket pair. Anyone may write an evaluator in any language by it.
//
//   parent                          child
//   kOpen (version, model, options) ->
//                                   <- kOpened (info) | kFailed
//   kEvaluate | kCapture | kProfile ->
//                                   <- kProgress (share) …
//   kCancel, at any time            ->
//                                   <- kEvaluated | kCaptured | kProfiled
//                                      | kFailed
//
// A child whose socket closes must exit. Frames: message_channel.h; values:
// wire.h.
#ifndef EVOPRESS_WORKER_EVALUATOR_PROTOCOL_H_
#define EVOPRESS_WORKER_EVALUATOR_PROTOCOL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/evaluator.h"

namespace evopress::worker {

inline constexpr uint32_t kEvaluatorProtocolVersion = 3;

// The descriptor on which a child finds its socket.
inline constexpr int kEvaluatorFd = 3;

enum EvaluatorMessage : uint32_t {
  kOpen = 1,
  kOpened = 2,
  kEvaluate = 3,
  kCapture = 4,
  kCancel = 5,
  kProgress = 6,
  kEvaluated = 7,
  kCaptured = 8,
  kFailed = 9,
  kProfile = 10,
  kProfiled = 11,
};

struct OpenRequest {
  std::string path;
  EvaluatorOptions options;
};

// Payloads. Decoders give DataLoss for anything the encoders would not have
// written, whatever the bytes; DecodeOpen gives FailedPrecondition for another
// protocol version.
std::string EncodeOpen(const OpenRequest& request);
absl::StatusOr<OpenRequest> DecodeOpen(absl::string_view bytes);

std::string EncodeInfo(const EvaluatorInfo& info);
absl::StatusOr<EvaluatorInfo> DecodeInfo(absl::string_view bytes);

std::string EncodeEvaluate(const EvaluateRequest& request);
absl::StatusOr<EvaluateRequest> DecodeEvaluate(absl::string_view bytes);

std::string EncodeEvaluated(const EvaluateResponse& response);
absl::StatusOr<EvaluateResponse> DecodeEvaluated(absl::string_view bytes);

std::string EncodeCapture(const CaptureRequest& request);
absl::StatusOr<CaptureRequest> DecodeCapture(absl::string_view bytes);

// The samples of a kProfile.
std::string EncodeProfile(const std::vector<std::vector<int32_t>>& samples);
absl::StatusOr<std::vector<std::vector<int32_t>>> DecodeProfile(
    absl::string_view bytes);

std::string EncodeProfiled(const ModelProfile& profile);
absl::StatusOr<ModelProfile> DecodeProfiled(absl::string_view bytes);

std::string EncodeProgress(double share);
absl::StatusOr<double> DecodeProgress(absl::string_view bytes);

// REQUIRES: `failure` is not OK.
std::string EncodeFailed(const absl::Status& failure);
// The failure itself, never OK.
absl::Status DecodeFailed(absl::string_view bytes);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_EVALUATOR_PROTOCOL_H_
