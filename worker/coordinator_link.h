// The way to a service of one or several coordinators, of which one leads.
#ifndef EVOPRESS_WORKER_COORDINATOR_LINK_H_
#define EVOPRESS_WORKER_COORDINATOR_LINK_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "evopress/v1/artifacts.grpc.pb.h"
#include "evopress/v1/jobs.grpc.pb.h"
#include "evopress/v1/workers.grpc.pb.h"
#include "worker/coordinator_channel.h"

namespace evopress::worker {

// Thread-safe. Stubs live as long as the link. With several addresses a leader
// that falls silent is noticed within eight seconds.
class CoordinatorLink {
 public:
  // `to.address` may name several, separated by commas. Errors as of
  // OpenCoordinatorChannel().
  static absl::StatusOr<std::shared_ptr<CoordinatorLink>> Open(
      const CoordinatorAddress& to, grpc::ChannelArguments arguments);
  // Over a channel that is there already.
  explicit CoordinatorLink(std::shared_ptr<grpc::Channel> channel);

  v1::Jobs::Stub& jobs() { return *Current().jobs; }
  v1::Workers::Stub& workers() { return *Current().workers; }
  v1::Artifacts::Stub& artifacts() { return *Current().artifacts; }

  // To be told how each call ended. After UNAVAILABLE or DEADLINE_EXCEEDED it
  // asks all coordinators for their health, for at most two seconds, and turns
  // to the one that serves.
  void Heed(const grpc::Status& status) { Heed(status.error_code()); }
  void Heed(grpc::StatusCode code);

 private:
  struct End {
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<v1::Jobs::Stub> jobs;
    std::unique_ptr<v1::Workers::Stub> workers;
    std::unique_ptr<v1::Artifacts::Stub> artifacts;
  };
  explicit CoordinatorLink(std::vector<End> ends) : ends_(std::move(ends)) {}
  static End EndOf(std::shared_ptr<grpc::Channel> channel);
  End& Current() { return ends_[current_]; }

  std::vector<End> ends_;  // not empty
  std::atomic<size_t> current_ = 0;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_COORDINATOR_LINK_H_
