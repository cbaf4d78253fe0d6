// A coordinator to talk to: a remote one, or the data directory of earlier
// local runs, opened in this process.
#ifndef EVOPRESS_CLIENT_CONNECTION_H_
#define EVOPRESS_CLIENT_CONNECTION_H_

#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "client/local_service.h"
#include "client/service_client.h"

namespace evopress::client {

struct ConnectionFlags {
  worker::CoordinatorAddress server{"127.0.0.1:50071"};
  std::string data_dir;  // not empty: this instead of the server
};

void AddConnectionFlags(CLI::App& app, ConnectionFlags& flags);

struct Connection {
  std::unique_ptr<LocalService> service;  // null for a remote coordinator
  std::shared_ptr<worker::CoordinatorLink> link;
  std::unique_ptr<ServiceClient> client;
  std::string data_dir;  // empty for a remote coordinator
};

// Unavailable comes from the first call, not from here. FailedPrecondition if
// another process uses the data directory.
absl::StatusOr<Connection> Connect(const ConnectionFlags& flags);

// "jobs/abc" of "jobs/abc" or "abc".
std::string JobName(const std::string& text);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_CONNECTION_H_
