// The one place where absl::Status becomes a gRPC status.
#ifndef EVOPRESS_SERVER_GRPC_STATUS_H_
#define EVOPRESS_SERVER_GRPC_STATUS_H_

#include <grpcpp/grpcpp.h>

#include <string>

#include "absl/status/status.h"

namespace evopress::server {

// Codes are the same by number; the message is kept.
inline grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()));
}

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_GRPC_STATUS_H_
