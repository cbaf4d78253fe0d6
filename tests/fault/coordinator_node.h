// The coordinator of a simulation: the real scheduler on a disk in memory and
// a clock that may jump. It can be killed at any moment and at any commit, and
// starts again from what was committed.
#ifndef EVOPRESS_TESTS_FAULT_COORDINATOR_NODE_H_
#define EVOPRESS_TESTS_FAULT_COORDINATOR_NODE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/clock.h"
#include "server/scheduler.h"
#include "tests/fault/memory_store.h"
#include "tests/fault/world.h"

namespace evopress::fault {

class CoordinatorNode {
 public:
  CoordinatorNode(World& world, const server::SchedulerOptions& options);

  // Serving, and not stopped (SIGSTOP).
  bool up() const { return scheduler_ != nullptr; }
  absl::Time paused_until() const { return paused_until_; }

  void Start();
  void Kill(const std::string& how);
  void Pause(absl::Duration duration);
  void JumpClock(absl::Duration by);

  // Faults of the disk.
  double kill_at_commit = 0;  // chance, before or after each write
  bool disk_full = false;
  absl::Duration downtime = absl::Seconds(1);  // after a kill, at most

  // Runs a request. Unset if the coordinator died of it. REQUIRES: up().
  template <typename Result>
  std::optional<Result> Serve(
      const std::function<Result(server::Scheduler&)>& request) {
    std::optional<Result> result;
    Guarded([&] { result = request(*scheduler_); });
    if (!up()) return std::nullopt;
    return result;
  }
  // A long poll: `request` is tried until it returns true, now and whenever
  // something may have changed, for as long as this coordinator lives; then
  // `gone` is called.
  void Poll(std::function<bool(server::Scheduler&)> request,
            std::function<void()> gone);

  // Counts what a response says has been accepted.
  void CountVerdicts(const v1::CompleteTasksRequest& request,
                     const v1::CompleteTasksResponse& response);

  Disk& disk() { return disk_; }
  MemoryArtifacts& artifacts() { return artifacts_; }
  int64_t commits() const { return commits_; }
  int lives() const { return lives_; }

 private:
  class NodeClock : public server::Clock {
   public:
    explicit NodeClock(World& world) : world_(world) {}
    // As SystemClock: a process does not see its machine's clock jump.
    absl::Time Now() override { return world_.now() + offset_; }
    void NewProcess() { offset_ = jumped; }
    absl::Duration jumped;

   private:
    World& world_;
    absl::Duration offset_;
  };
  struct LongPoll {
    std::function<bool(server::Scheduler&)> request;
    std::function<void()> gone;
  };

  void Guarded(const std::function<void()>& action);
  void Tick(int life, bool once);
  void TryPolls();
  absl::Status BeforeWrite();
  void AfterWrite();

  World& world_;
  server::SchedulerOptions options_;
  NodeClock clock_;
  Disk disk_;
  WriteHooks hooks_;
  MemoryArtifacts artifacts_;
  std::unique_ptr<server::Scheduler> scheduler_;
  std::vector<LongPoll> polls_;
  absl::Time paused_until_ = absl::InfinitePast();
  bool ticking_ = false;
  int lives_ = 0;
  int64_t commits_ = 0;
  std::map<std::string, int> accepted_;  // task -> times
};

}  // namespace evopress::fault

#endif  // EVOPRESS_TESTS_FAULT_COORDINATOR_NODE_H_
