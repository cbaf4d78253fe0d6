// What a command returns to the shell, and how a failure is told.
#ifndef EVOPRESS_CLIENT_EXIT_CODE_H_
#define EVOPRESS_CLIENT_EXIT_CODE_H_

#include "absl/status/status.h"

namespace evopress::client {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  // something went wrong on the way
inline constexpr int kExitUsage = 2;   // the request itself is at fault

// Usage: InvalidArgument, NotFound, AlreadyExists, OutOfRange, Unimplemented,
// FailedPrecondition and DataLoss (a damaged input). Everything else failed.
int ExitCode(const absl::Status& status);

// Prints "evopress: error: <message>" on stderr, or with `json` one object
// {"error": {"code", "message"}} on stdout, and returns ExitCode(status).
int ReportError(const absl::Status& status, bool json);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_EXIT_CODE_H_
