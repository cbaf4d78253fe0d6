// "Come back in a while" in the details of a gRPC error (google.rpc.RetryInfo).
#ifndef EVOPRESS_PROTO_RETRY_INFO_H_
#define EVOPRESS_PROTO_RETRY_INFO_H_

#include <grpcpp/grpcpp.h>

#include <optional>
#include <string>

#include "absl/time/time.h"

namespace evopress::proto {

// RESOURCE_EXHAUSTED that asks to wait for `delay`.
grpc::Status TryAgainIn(absl::Duration delay, const std::string& message);

// The wait that an error asks for, if it does.
std::optional<absl::Duration> RetryDelay(const grpc::Status& status);

}  // namespace evopress::proto

#endif  // EVOPRESS_PROTO_RETRY_INFO_H_
