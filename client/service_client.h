// Calls to a coordinator, embedded or remote: deadlines, statuses and retries
// of what may be repeated.
#ifndef EVOPRESS_CLIENT_SERVICE_CLIENT_H_
#define EVOPRESS_CLIENT_SERVICE_CLIENT_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "evopress/v1/artifacts.grpc.pb.h"
#include "evopress/v1/jobs.grpc.pb.h"
#include "evopress/v1/workers.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "worker/coordinator_link.h"

namespace evopress::client {

// worker::CoordinatorLink::Open() for messages of a client's size.
absl::StatusOr<std::shared_ptr<worker::CoordinatorLink>> OpenLink(
    const worker::CoordinatorAddress& to);

// Thread-safe. Unavailable is tried again for about ten seconds, then says
// how to reach a coordinator. A limit that asks to come back soon is waited
// for.
class ServiceClient {
 public:
  // `why_unavailable` may know a reason that no retry heals
  // (worker::CheckCoordinatorTls).
  explicit ServiceClient(std::shared_ptr<worker::CoordinatorLink> link,
                         std::function<absl::Status()> why_unavailable = {});

  absl::StatusOr<v1::Job> CreateJob(const v1::JobSpec& spec,
                                    const std::string& request_id);
  absl::StatusOr<v1::Job> GetJob(const std::string& name);
  // All pages.
  absl::StatusOr<std::vector<v1::Job>> ListJobs();
  absl::StatusOr<v1::Job> PauseJob(const std::string& name);
  absl::StatusOr<v1::Job> ResumeJob(const std::string& name);
  absl::StatusOr<v1::Job> CancelJob(const std::string& name);
  absl::Status DeleteJob(const std::string& name);
  // All pages, oldest first.
  absl::StatusOr<std::vector<v1::RoundRecord>> ListRounds(
      const std::string& job);
  absl::StatusOr<v1::ExplainJobResponse> ExplainJob(const std::string& name);
  // `write` takes the bytes in their order; what it returns ends the copy.
  absl::Status BackupJournal(
      const std::function<absl::Status(const std::string&)>& write);
  absl::StatusOr<std::vector<v1::Worker>> ListWorkers();
  absl::Status DrainWorker(const std::string& worker_id);

  // Size of each artifact, -1 where absent.
  absl::StatusOr<std::vector<int64_t>> StatArtifacts(
      const std::vector<std::string>& sha256);

  // Follows a job until it has ended or paused, reconnecting when the stream
  // breaks; `seen` is called with every state of it. Cancelled once `stop` is
  // true; whatever `alive` returns as soon as that is not OK.
  absl::StatusOr<v1::Job> WatchJob(
      const std::string& name, const std::atomic<bool>& stop,
      const std::function<absl::Status()>& alive,
      const std::function<void(const v1::Job&)>& seen);

  worker::CoordinatorLink& link() { return *link_; }

 private:
  // Calls `method` of `stub` with a deadline, again while it is unavailable.
  template <typename Response, typename Stub, typename Request>
  absl::StatusOr<Response> Call(
      Stub& (worker::CoordinatorLink::*stub)(),
      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                   Response*),
      const Request& request);

  const std::function<absl::Status()> why_unavailable_;
  const std::shared_ptr<worker::CoordinatorLink> link_;
};

// True for SUCCEEDED, FAILED and CANCELLED.
bool HasEnded(const v1::Job& job);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_SERVICE_CLIENT_H_
