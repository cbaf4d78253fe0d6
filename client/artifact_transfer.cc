#include "client/artifact_transfer.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "proto/retry_info.h"
#include "quant/mapped_file.h"
#include "worker/rpc_retry.h"

namespace evopress::client {
namespace {

constexpr size_t kChunkBytes = 512 << 10;
constexpr int kAttempts = 4;
constexpr absl::Duration kLongestRetryDelay = absl::Seconds(10);

grpc::Status UploadOnce(ServiceClient& client, const LocalArtifact& artifact,
                        absl::Span<const uint8_t> bytes,
                        const std::atomic<bool>& stop,
                        const std::function<void(int64_t)>& sent) {
  grpc::ClientContext context;
  v1::UploadArtifactResponse response;
  auto writer = client.link().artifacts().UploadArtifact(&context, &response);
  v1::UploadArtifactRequest request;
  request.mutable_header()->set_sha256(artifact.sha256);
  request.mutable_header()->set_size_bytes(artifact.size_bytes);
  bool open = writer->Write(request);
  for (size_t at = 0; open && at < bytes.size(); at += kChunkBytes) {
    if (stop) {
      context.TryCancel();
      writer->Finish();
      return {grpc::StatusCode::CANCELLED, "interrupted"};
    }
    const size_t length = std::min(kChunkBytes, bytes.size() - at);
    request.set_data(reinterpret_cast<const char*>(bytes.data()) + at, length);
    open = writer->Write(request);
    if (open) sent(static_cast<int64_t>(at + length));
  }
  if (open) writer->WritesDone();
  return writer->Finish();
}

absl::Status Upload(ServiceClient& client, const LocalArtifact& artifact,
                    const std::atomic<bool>& stop,
                    const std::function<void(int64_t)>& sent) {
  std::unique_ptr<quant::MappedFile> file;
  absl::Span<const uint8_t> bytes(
      reinterpret_cast<const uint8_t*>(artifact.bytes.data()),
      artifact.bytes.size());
  if (!artifact.path.empty()) {
    auto mapped = quant::MappedFile::Open(artifact.path);
    if (!mapped.ok()) return mapped.status();
    file = *std::move(mapped);
    bytes = file->bytes();
  }
  if (static_cast<int64_t>(bytes.size()) != artifact.size_bytes) {
    return absl::DataLossError(absl::StrCat(
        artifact.path, " now has ", bytes.size(), " bytes, had ",
        artifact.size_bytes, " when it was hashed; run the command again"));
  }
  grpc::Status status;
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    status = UploadOnce(client, artifact, bytes, stop, sent);
    client.link().Heed(status);
    const auto delay = proto::RetryDelay(status);
    if (delay.has_value() && *delay <= kLongestRetryDelay) {
      absl::SleepFor(*delay);
    } else if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
      absl::SleepFor(absl::Seconds(1 << attempt));
    } else {
      break;
    }
  }
  return worker::FromGrpc(status);
}

}  // namespace

absl::Status UploadMissing(ServiceClient& client,
                           const std::vector<LocalArtifact>& artifacts,
                           const std::atomic<bool>& stop,
                           const TransferProgress& progress) {
  std::vector<std::string> hashes;
  for (const auto& artifact : artifacts) hashes.push_back(artifact.sha256);
  auto sizes = client.StatArtifacts(hashes);
  if (!sizes.ok()) return sizes.status();
  int64_t total = 0;
  for (size_t i = 0; i < artifacts.size(); ++i) {
    if ((*sizes)[i] < 0) total += artifacts[i].size_bytes;
  }
  int64_t done = 0;
  for (size_t i = 0; i < artifacts.size(); ++i) {
    if ((*sizes)[i] >= 0) continue;
    const LocalArtifact& artifact = artifacts[i];
    const auto status = Upload(client, artifact, stop, [&](int64_t sent) {
      if (progress) progress(done + sent, total, artifact.label);
    });
    if (!status.ok()) {
      return absl::Status(
          status.code(),
          absl::StrCat("uploading ", artifact.label, ": ", status.message()));
    }
    done += artifact.size_bytes;
  }
  return absl::OkStatus();
}

}  // namespace evopress::client
