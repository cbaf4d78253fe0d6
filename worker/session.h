// The lease protocol over gRPC: runs a SessionMachine, with a thread of its own
// for heartbeats.
#ifndef EVOPRESS_WORKER_SESSION_H_
#define EVOPRESS_WORKER_SESSION_H_

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/coordinator_link.h"
#include "worker/session_machine.h"

namespace evopress::worker {

// One user, besides the thread that sends heartbeats.
class Session {
 public:
  using Work = SessionMachine::Work;

  // `identity` is sent at every (re)opening. `stop` must outlive this.
  Session(std::shared_ptr<CoordinatorLink> link,
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
  // Makes the call and tells the machine the answer. A stop ends the wait for
  // an answer early if `give_way`.
  void Perform(const SessionMachine::Call& call, bool give_way);
  void HeartbeatLoop();

  const std::shared_ptr<CoordinatorLink> link_;
  const std::atomic<bool>& stop_;

  std::mutex mutex_;
  std::condition_variable wake_;
  SessionMachine machine_;  // guarded by mutex_
  bool closing_ = false;    // guarded by mutex_
  std::thread heartbeats_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_SESSION_H_
