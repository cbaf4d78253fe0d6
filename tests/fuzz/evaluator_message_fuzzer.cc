// What parent and evaluator say to each other; the first byte is the message.
#include "absl/strings/string_view.h"
#include "worker/evaluator_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evopress::worker;
  if (size == 0) return 0;
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 1,
                                size - 1);
  switch (data[0] % 12) {
    case kOpen:
      (void)DecodeOpen(bytes);
      break;
    case kOpened:
      (void)DecodeInfo(bytes);
      break;
    case kEvaluate:
      (void)DecodeEvaluate(bytes);
      break;
    case kEvaluated:
      (void)DecodeEvaluated(bytes);
      break;
    case kCapture:
      (void)DecodeCapture(bytes);
      break;
    case kProfile:
      (void)DecodeProfile(bytes);
      break;
    case kProfiled:
      (void)DecodeProfiled(bytes);
      break;
    case kProgress:
      (void)DecodeProgress(bytes);
      break;
    case kFailed:
      (void)DecodeFailed(bytes);
      break;
    default:
      break;
  }
  return 0;
}
