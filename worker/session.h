// A worker's side of the lease protocol (proto/evopress/v1/workers.proto):
// opens sessions, leases tasks, keeps them alive with heartbeats and delivers
// results, whatever the coordinator does meanwhile.
#ifndef EVOPRESS_WORKER_SESSION_H_
#define EVOPRESS_WORKER_SESSION_H_

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "evopress/v1/workers.grpc.pb.h"

namespace evopress::worker {

// Thread-safe. A thread of its own sends heartbeats.
class Session {
 public:
  // What a lease is told about while it is worked on.
  struct Work {
    v1::Lease lease;
    std::shared_ptr<std::atomic<double>> progress;
    std::shared_ptr<std::atomic<bool>> cancelled;
  };

  // `identity` is sent at every (re)opening. `stop` must outlive this.
  Session(std::unique_ptr<v1::Workers::StubInterface> stub,
          v1::OpenSessionRequest identity, const std::atomic<bool>& stop);
  ~Session();

  // Waits for work. Unset when told to drain; Cancelled when `stop` was set.
  // Reconnects by itself for as long as it takes. Other errors are final: the
  // coordinator refused this worker.
  absl::StatusOr<std::unique_ptr<Work>> NextWork();

  // Takes over the result of a lease and delivers it, now or, while the
  // coordinator is away, later. `status` not OK: the task failed so.
  void Complete(const Work& work, absl::StatusOr<v1::TaskResult> result,
                absl::Duration spent);

  // Delivers what is left (waiting at most `patience`) and closes the session.
  void Close(absl::Duration patience);

 private:
  absl::Status EnsureOpen();
  absl::Status Deliver(absl::Duration patience);
  void HeartbeatLoop();

  const std::unique_ptr<v1::Workers::StubInterface> stub_;
  const v1::OpenSessionRequest identity_;
  const std::atomic<bool>& stop_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::string session_;                          // guarded by mutex_; "" = none
  absl::Duration heartbeat_ = absl::Seconds(5);  // guarded by mutex_
  bool drain_ = false;                           // guarded by mutex_
  bool closing_ = false;                         // guarded by mutex_
  std::deque<v1::Lease> queue_;                  // leased, not yet begun
  std::map<std::string, Work> active_;           // by token, guarded by mutex_
  std::vector<v1::Completion> finished_;         // undelivered, by mutex_
  std::thread heartbeats_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_SESSION_H_
