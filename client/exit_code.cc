#include "client/exit_code.h"

#include <cstdio>
#include <string>

#include "nlohmann/json.hpp"

namespace evopress::client {

int ExitCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kDataLoss:
      return kExitUsage;
    default:
      return kExitFailed;
  }
}

int ReportError(const absl::Status& status, bool json) {
  if (status.ok()) return kExitOk;
  const std::string message(status.message());
  if (json) {
    const nlohmann::json object = {
        {"error",
         {{"code", absl::StatusCodeToString(status.code())},
          {"message", message}}}};
    std::printf(
        "%s\n",
        object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
            .c_str());
  } else {
    std::fprintf(stderr, "evopress: error: %s\n", message.c_str());
  }
  return ExitCode(status);
}

}  // namespace evopress::client
