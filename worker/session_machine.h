// A worker's side of the lease protocol as a machine without threads, clock or
// transport: it says what to ask the coordinator and when, and is told the
// answers. `Session` runs it over gRPC, the simulation over a fake network.
//
// Invariants
//  1. A result is kept until a coordinator has said what became of it.
//  2. What is leased is worked on whether or not the coordinator is there.
//  3. A coordinator that is away is asked again for ever, with pauses that
//     grow; one that refuses this worker ends the work.
#ifndef EVOPRESS_WORKER_SESSION_MACHINE_H_
#define EVOPRESS_WORKER_SESSION_MACHINE_H_

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "evopress/v1/workers.pb.h"

namespace evopress::worker {

// Thread-compatible. One call at a time is under way, heartbeats aside.
class SessionMachine {
 public:
  // What a lease is told about while it is worked on.
  struct Work {
    v1::Lease lease;
    std::shared_ptr<std::atomic<double>> progress;
    std::shared_ptr<std::atomic<bool>> cancelled;
  };

  // What to do next.
  struct Call {
    std::variant<v1::OpenSessionRequest, v1::LeaseTasksRequest,
                 v1::CompleteTasksRequest, v1::CloseSessionRequest>
        request;
    absl::Duration deadline;
  };
  struct Wait {
    absl::Time until;
  };
  struct End {
    absl::Status status;  // OK: drained, or left; else refused
  };
  using Step = std::variant<Call, Wait, Work, End>;

  // `identity` is sent at every (re)opening.
  explicit SessionMachine(v1::OpenSessionRequest identity);

  // To be called when the last call was answered and the last work finished.
  Step Next(absl::Time now);
  // The part of Next() that brings results home: unset if nothing is to be
  // delivered, or not now.
  std::optional<Call> Delivery(absl::Time now);

  // The answers. UNAVAILABLE and DEADLINE_EXCEEDED: the coordinator is away.
  void Opened(absl::StatusOr<v1::OpenSessionResponse> answer, absl::Time now);
  void Leased(const v1::LeaseTasksRequest& request,
              absl::StatusOr<v1::LeaseTasksResponse> answer, absl::Time now);
  void Completed(const v1::CompleteTasksRequest& request,
                 absl::StatusOr<v1::CompleteTasksResponse> answer,
                 absl::Time now);
  void Closed();

  // Takes over the result of a lease. `result` not OK: the task failed so;
  // Cancelled: it was called off, here or there, and has no outcome.
  void Finish(const Work& work, absl::StatusOr<v1::TaskResult> result,
              absl::Duration spent);

  // Heartbeats run beside all else, one at a time, an interval after the last
  // one was answered. Unset without a session.
  std::optional<v1::HeartbeatRequest> Heartbeat() const;
  absl::Duration heartbeat_interval() const { return heartbeat_; }
  absl::Duration heartbeat_deadline() const;
  void HeartbeatAnswered(const v1::HeartbeatRequest& request,
                         absl::StatusOr<v1::HeartbeatResponse> answer);

  // From now on Next() only brings results home, until `give_up`, and then
  // closes the session. What is queued is released by that.
  void Leave(absl::Time give_up);

 private:
  Call OpenCall() const;
  // True if the coordinator is away and is to be asked again after a pause.
  bool Away(const absl::Status& status, absl::Time now);

  const v1::OpenSessionRequest identity_;
  std::string session_;  // "" = none
  absl::Duration heartbeat_ = absl::Seconds(5);
  bool drain_ = false;
  std::optional<absl::Time> give_up_;    // set: leaving
  std::deque<v1::Lease> queue_;          // leased, not yet begun
  std::map<std::string, Work> active_;   // by token
  std::deque<v1::Completion> finished_;  // undelivered
  absl::Status refused_;
  absl::Time retry_at_ = absl::InfinitePast();
  int attempts_ = 0;  // since the coordinator last answered
  uint64_t pauses_ = 0;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_SESSION_MACHINE_H_
