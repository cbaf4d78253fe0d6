// How clients and workers reach a coordinator: in the clear on this machine,
// over TLS elsewhere, with a bearer token or a client certificate.
#ifndef EVOPRESS_WORKER_COORDINATOR_CHANNEL_H_
#define EVOPRESS_WORKER_COORDINATOR_CHANNEL_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace evopress::worker {

struct CoordinatorAddress {
  std::string address;  // "host:port" or "unix:PATH", or several
  std::string ca = {};  // PEM file; empty: the authorities of this system
  std::string certificate = {};  // PEM file, for mutual TLS
  std::string key = {};          // PEM file
  std::string token_file = {};   // holds a token, read again when it changes
  std::string token = {};        // without a file; never printed
  bool insecure = false;         // no TLS, whatever the address
};

// One for each of the addresses that `to` names, separated by commas.
std::vector<CoordinatorAddress> EachAddress(const CoordinatorAddress& to);

// Whether the channel to `to` is encrypted: if an authority is named or the
// address is not of this machine, unless `insecure`.
bool UsesTls(const CoordinatorAddress& to);

// Does not connect yet. InvalidArgument for an address of another form, flags
// that contradict each other, an unusable token, or a token that would cross a
// network in the clear; other errors name a file that cannot be read.
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenCoordinatorChannel(
    const CoordinatorAddress& to, grpc::ChannelArguments arguments);

// Connects once to each address and says why TLS cannot work, which gRPC keeps
// to itself: Unauthenticated if a certificate is refused, on either side;
// FailedPrecondition if one side speaks TLS and the other does not. OK also if
// nobody answers: that may heal.
absl::Status CheckCoordinatorTls(const CoordinatorAddress& to);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_COORDINATOR_CHANNEL_H_
