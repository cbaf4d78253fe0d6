// A worker of a simulation: the real SessionMachine over the fake network, and
// an evaluator that takes time, fails and lies as it is told.
#ifndef EVOPRESS_TESTS_FAULT_WORKER_NODE_H_
#define EVOPRESS_TESTS_FAULT_WORKER_NODE_H_

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/fault/network.h"
#include "worker/session_machine.h"

namespace evopress::fault {

// What goes wrong on one machine.
struct WorkerTraits {
  std::string numeric_class = "fake-1";
  absl::Duration shortest = absl::Milliseconds(200);  // of a task
  absl::Duration longest = absl::Seconds(5);
  double crash = 0;          // the evaluator dies
  double transient = 0;      // an error that would not repeat
  int max_pairs = 1000;      // more of them are too much; builds, if negative
  int crashes_per_task = 2;  // of all workers; another one would be a verdict
  // Of the answers after so many all are wrong: NaN, or another value, the same
  // again or not.
  int lies_after = std::numeric_limits<int>::max();
  bool gone = false;  // does not start again
};

// Faults that only so many times may hit a task: a third crash is a verdict.
using FaultBudget = std::map<std::string, int>;

class WorkerNode {
 public:
  // All arguments must outlive this.
  WorkerNode(World& world, Network& network, CoordinatorNode& coordinator,
             FaultBudget& budget, const std::string& id,
             const WorkerTraits& traits);

  void Start();
  void Kill();
  // SIGSTOP: it does nothing until then, and knows nothing of it.
  void Pause(absl::Duration duration);
  // SIGTERM: it hands over what it has and comes back as a new process.
  void Preempt();
  void CutOff(bool cut) { endpoint_.cut_off = cut; }
  bool running() const { return machine_ != nullptr; }

  WorkerTraits traits;

 private:
  void Drive();
  void Beat();
  void BeginWork(const worker::SessionMachine::Work& work);
  void EndWork();
  void Send(const worker::SessionMachine::Call& call);
  absl::StatusOr<v1::TaskResult> Compute(const v1::Task& task);
  // Runs `event` after `delay`, later if this is stopped, never if it died.
  void After(absl::Duration delay, std::function<void()> event);
  void Defer(int64_t incarnation, std::function<void()> event);

  World& world_;
  Network& network_;
  CoordinatorNode& coordinator_;
  FaultBudget& budget_;
  const std::string id_;
  Endpoint endpoint_;
  std::unique_ptr<worker::SessionMachine> machine_;
  std::optional<worker::SessionMachine::Work> work_;
  absl::Time work_began_;
  int64_t work_serial_ = 0;
  bool asking_ = false;
  bool leaving_ = false;
  bool waiting_ = false;
  int answers_ = 0;
};

}  // namespace evopress::fault

#endif  // EVOPRESS_TESTS_FAULT_WORKER_NODE_H_
