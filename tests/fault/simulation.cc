#include "tests/fault/simulation.h"

#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/fault/client_node.h"
#include "tests/fault/coordinator_node.h"
#include "tests/fault/network.h"
#include "tests/fault/worker_node.h"
#include "tests/fault/world.h"
#include "tests/server/small_job.h"

namespace evopress::fault {
namespace {

constexpr int kVariants = 6;
constexpr int64_t kMaxEvents = 2'000'000;
constexpr absl::Duration kBoundedTime = absl::Hours(6);

v1::JobSpec Spec(int variant) {
  v1::JobSpec spec = server::SmallSpec(/*seed=*/100 + variant,
                                       /*generations=*/2 + variant % 2);
  spec.set_numeric_class("fake-1");
  // One or two pairs a task, so that there is something to share out.
  const int length = variant % 3 == 0 ? 8192 : 4096;
  for (v1::TokenSetRef& set : *spec.mutable_data()) set.set_length(length);
  return spec;
}

// One simulation. Faults are drawn first, so that a seed names a mix of them
// ("swarm testing"): each kind is there or not.
class Simulation {
 public:
  Simulation(uint64_t seed, bool faults, bool keep_trace);

  // REQUIRES: once.
  Verdict Run();
  void Submit(int variant, absl::Duration at, bool cancelled);
  const ClientNode& client() const { return client_; }
  // Compares with fault-free runs.
  void DrawJobs();

 private:
  void DrawFaults();
  void AddWorker(const WorkerTraits& traits);
  // Calls `fault` again and again until the storm is over.
  void Recur(const std::string& name, double probability, absl::Duration mean,
             std::function<void()> fault);
  void Calm();
  void RunUntil(const std::function<bool()>& condition, absl::Duration limit,
                const std::string& what);
  void CheckEnd();
  WorkerNode& AnyWorker() {
    return *workers_[world_.rng().Below(workers_.size())];
  }

  World world_;
  CoordinatorNode coordinator_;
  Network network_;
  ClientNode client_;
  FaultBudget budget_;
  std::vector<std::unique_ptr<WorkerNode>> workers_;
  std::vector<int> variants_;  // of the client's orders
  bool storm_ = false;
  bool exact_ = true;  // nothing need be measured twice
  std::string faults_;
  int64_t events_ = 0;
};

server::SchedulerOptions Options() {
  server::SchedulerOptions options;
  options.max_long_polls = 0;
  // Longer than anybody is away.
  options.leases.fleet_patience = absl::Minutes(5);
  return options;
}

struct Expected {
  std::string winner;
  std::string history_hash;
  std::string results;
  int64_t rounds = 0;
  int64_t evaluated_tokens = 0;
};

Expected Summary(const v1::Job& job) {
  Expected summary;
  for (const v1::Candidate& candidate : job.results()) {
    summary.results += proto::DeterministicBytes(candidate);
  }
  if (job.results_size() > 0) {
    summary.winner = job.results(0).assignment().levels();
  }
  summary.history_hash = job.history_hash();
  summary.rounds = job.rounds();
  summary.evaluated_tokens = job.evaluated_tokens();
  return summary;
}

const Expected& Oracle(int variant) {
  static auto& known = *new std::map<int, Expected>;
  const auto it = known.find(variant);
  if (it != known.end()) return it->second;
  Simulation simulation(0, /*faults=*/false, /*keep_trace=*/false);
  simulation.Submit(variant, absl::ZeroDuration(), /*cancelled=*/false);
  const Verdict verdict = simulation.Run();
  Expected expected = Summary(simulation.client().orders()[0]->last);
  if (!verdict.violation.empty()) expected.winner = verdict.violation;
  return known[variant] = std::move(expected);
}

Simulation::Simulation(uint64_t seed, bool faults, bool keep_trace)
    : world_(seed, keep_trace),
      coordinator_(world_, Options()),
      network_(world_, coordinator_),
      client_(world_, network_),
      storm_(faults) {
  for (const std::string& bytes : server::SpecArtifacts()) {
    coordinator_.artifacts().Put(bytes).IgnoreError();
  }
  if (faults) {
    DrawFaults();
  } else {
    AddWorker(WorkerTraits());
  }
}

void Simulation::AddWorker(const WorkerTraits& traits) {
  workers_.push_back(std::make_unique<WorkerNode>(
      world_, network_, coordinator_, budget_,
      absl::StrCat("worker-", workers_.size()), traits));
}

void Simulation::Submit(int variant, absl::Duration at, bool cancelled) {
  variants_.push_back(variant);
  client_.Submit(Spec(variant), at, cancelled);
}

void Simulation::DrawJobs() {
  const int first = static_cast<int>(world_.rng().Below(kVariants));
  Submit(first, absl::ZeroDuration(), /*cancelled=*/false);
  if (world_.Chance(0.25)) {
    Submit((first + 1) % kVariants,
           world_.Between(absl::ZeroDuration(), absl::Minutes(1)),
           /*cancelled=*/false);
    exact_ = false;  // each may measure what the other one wants, too
  }
  if (world_.Chance(0.25)) {
    Submit((first + 2) % kVariants,
           world_.Between(absl::ZeroDuration(), absl::Minutes(1)),
           /*cancelled=*/true);
    exact_ = false;
  }
}

void Simulation::Recur(const std::string& name, double probability,
                       absl::Duration mean, std::function<void()> fault) {
  if (!world_.Chance(probability)) return;
  absl::StrAppend(&faults_, faults_.empty() ? "" : ", ", name);
  // The closure holds itself; it ends with the storm.
  auto again = std::make_shared<std::function<void()>>();
  *again = [this, mean, fault = std::move(fault), again] {
    if (!storm_) return;
    fault();
    world_.After(mean * (0.2 + 1.6 * world_.rng().Uniform()), *again);
  };
  world_.After(mean * world_.rng().Uniform(), *again);
}

void Simulation::DrawFaults() {
  const auto name = [this](const char* fault) {
    absl::StrAppend(&faults_, faults_.empty() ? "" : ", ", fault);
    return true;
  };
  WorkerTraits traits;
  if (world_.Chance(0.3)) traits.longest = absl::Seconds(40);
  if (world_.Chance(0.3) && name("crashes")) traits.crash = 0.1;
  if (world_.Chance(0.3) && name("transient errors")) traits.transient = 0.1;
  const bool useless = world_.Chance(0.15) && name("no memory at all");
  if (useless) traits.crashes_per_task = 1;
  int workers = static_cast<int>(world_.rng().Between(1, 6));
  // Three know better than one, even if one of them goes for good.
  const bool lies = world_.Chance(0.25) && name("a liar");
  if (lies) workers = std::max(workers, 3);
  for (int i = 0; i < workers; ++i) AddWorker(traits);
  if (lies) {
    WorkerTraits liar = traits;
    liar.lies_after = static_cast<int>(world_.rng().Below(20));
    AddWorker(liar);
    exact_ = false;
  }
  if (useless) {
    WorkerTraits none = traits;
    none.max_pairs = -1;
    AddWorker(none);
    exact_ = false;
  }
  if (world_.Chance(0.3) && name("another class")) {
    WorkerTraits foreign = traits;
    foreign.numeric_class = "fake-2";
    AddWorker(foreign);
  }
  if (world_.Chance(0.3) && name("little memory")) {
    WorkerTraits tiny = traits;
    tiny.max_pairs = 1;
    AddWorker(tiny);
    exact_ = false;
  }

  if (world_.Chance(0.4) && name("loss")) {
    network_.faults.lose = world_.Chance(0.5) ? 0.02 : 0.2;
  }
  if (world_.Chance(0.4) && name("doubles")) network_.faults.twice = 0.1;
  if (world_.Chance(0.4) && name("reordering")) {
    network_.faults.linger = world_.Chance(0.5) ? 0.02 : 0.2;
  }
  if (world_.Chance(0.3) && name("kills at commits")) {
    coordinator_.kill_at_commit = world_.Chance(0.5) ? 0.005 : 0.03;
  }
  if (world_.Chance(0.3)) coordinator_.downtime = absl::Minutes(1);
  if (world_.Chance(0.2) && name("pauses of jobs")) client_.pauses = 0.2;

  Recur("kills of workers", 0.4, absl::Seconds(30), [this] {
    WorkerNode& worker = AnyWorker();
    worker.Kill();
    world_.After(world_.Between(absl::Seconds(1), absl::Seconds(60)),
                 [&worker] { worker.Start(); });
  });
  if (workers > 1 && world_.Chance(0.2) && name("a worker gone for good")) {
    world_.After(world_.Between(absl::Seconds(10), absl::Minutes(5)), [this] {
      workers_[1]->Kill();
      workers_[1]->traits.gone = true;
    });
  }
  Recur("loss of all workers", 0.15, absl::Minutes(3), [this] {
    for (auto& worker : workers_) worker->Kill();
    for (auto& worker : workers_) {
      world_.After(world_.Between(absl::Seconds(1), absl::Seconds(60)),
                   [raw = worker.get()] { raw->Start(); });
    }
  });
  Recur("preemption", 0.3, absl::Seconds(30),
        [this] { AnyWorker().Preempt(); });
  Recur("stops of workers", 0.3, absl::Seconds(45), [this] {
    AnyWorker().Pause(world_.Between(absl::Seconds(1), absl::Seconds(60)));
  });
  Recur("partitions", 0.4, absl::Seconds(60), [this] {
    WorkerNode& worker = AnyWorker();
    worker.CutOff(true);
    world_.Trace("network: a worker is cut off");
    world_.After(world_.Between(absl::Seconds(1), absl::Seconds(60)),
                 [&worker] { worker.CutOff(false); });
  });
  Recur("kills of the coordinator", 0.4, absl::Seconds(60),
        [this] { coordinator_.Kill("by force"); });
  Recur("stops of the coordinator", 0.2, absl::Seconds(90), [this] {
    coordinator_.Pause(world_.Between(absl::Seconds(1), absl::Seconds(40)));
  });
  Recur("clock jumps", 0.3, absl::Seconds(60), [this] {
    const absl::Duration by = world_.Between(absl::Seconds(1), absl::Hours(12));
    coordinator_.JumpClock(world_.Chance(0.5) ? by : -by);
  });
  Recur("full disk", 0.3, absl::Seconds(60), [this] {
    coordinator_.disk_full = true;
    world_.Trace("coordinator: the disk is full");
    world_.After(world_.Between(absl::Milliseconds(10), absl::Seconds(20)),
                 [this] { coordinator_.disk_full = false; });
  });
}

void Simulation::Calm() {
  world_.Trace("the storm is over");
  storm_ = false;
  network_.faults = NetworkFaults();
  client_.pauses = 0;
  coordinator_.kill_at_commit = 0;
  for (auto& worker : workers_) {
    // Those that are stopped, cut off or dead come back by what was planned.
    worker->traits.crash = worker->traits.transient = 0;
  }
}

void Simulation::RunUntil(const std::function<bool()>& condition,
                          absl::Duration limit, const std::string& what) {
  const absl::Time end = world_.now() + limit;
  while (world_.violation().empty() && !condition()) {
    if (world_.now() > end || ++events_ > kMaxEvents || !world_.Step()) {
      world_.Violate(absl::StrCat("not within bounds: ", what));
    }
  }
}

void Simulation::CheckEnd() {
  coordinator_.Kill("at the end");
  RunUntil([this] { return coordinator_.up(); }, absl::Hours(1), "restart");
  if (!coordinator_.up()) return;
  auto list = coordinator_.Serve<absl::StatusOr<v1::ListJobsResponse>>(
      [](server::Scheduler& s) { return s.ListJobs(v1::ListJobsRequest()); });
  if (!list.has_value() || !list->ok() ||
      (*list)->jobs_size() != static_cast<int>(client_.orders().size())) {
    world_.Violate("not one job for each request");
    return;
  }
  for (size_t i = 0; i < client_.orders().size(); ++i) {
    const ClientNode::Order& order = *client_.orders()[i];
    auto job = coordinator_.Serve<absl::StatusOr<v1::Job>>(
        [&](server::Scheduler& s) { return s.GetJob(order.name); });
    if (!job.has_value() || !job->ok()) {
      world_.Violate(absl::StrCat(order.name, " is gone"));
      continue;
    }
    if (order.cancel_acknowledged) {
      if ((*job)->state() != v1::Job::CANCELLED) {
        world_.Violate(absl::StrCat(order.name, " was cancelled, but is ",
                                    v1::Job::State_Name((*job)->state())));
      }
      continue;
    }
    const Expected& expected = Oracle(variants_[i]);
    const Expected got = Summary(**job);
    if (got.winner != expected.winner) {
      world_.Violate(absl::StrCat(order.name, ": another winner"));
    }
    if (got.history_hash != expected.history_hash) {
      world_.Violate(absl::StrCat(order.name, ": another history"));
    }
    if (got.results != expected.results) {
      world_.Violate(absl::StrCat(order.name, ": another report"));
    }
    if (exact_ && (got.evaluated_tokens != expected.evaluated_tokens ||
                   coordinator_.disk().repeated_measurements > 0)) {
      world_.Violate(absl::StrCat(
          order.name, ": ", got.evaluated_tokens,
          " tokens were taken instead of ", expected.evaluated_tokens, ", ",
          coordinator_.disk().repeated_measurements, " measurements again"));
    }
  }
}

Verdict Simulation::Run() {
  coordinator_.Start();
  for (auto& worker : workers_) {
    world_.After(storm_ ? world_.Between(absl::ZeroDuration(), absl::Minutes(1))
                        : absl::ZeroDuration(),
                 [raw = worker.get()] { raw->Start(); });
  }
  client_.Start();
  const bool compared = storm_;
  if (storm_) {
    const absl::Duration length =
        world_.Between(absl::Minutes(1), absl::Minutes(10));
    const absl::Time end = world_.now() + length;
    RunUntil([&] { return client_.AllDone() || world_.now() >= end; },
             absl::InfiniteDuration(), "the storm");
    Calm();
  }
  RunUntil([this] { return client_.AllDone(); }, kBoundedTime,
           "the end of all jobs");
  if (compared && world_.violation().empty()) CheckEnd();
  Verdict verdict;
  verdict.violation = world_.violation();
  verdict.trace = world_.trace();
  verdict.faults = faults_;
  verdict.events = events_;
  verdict.commits = coordinator_.commits();
  verdict.lives = coordinator_.lives();
  verdict.simulated_seconds = absl::ToDoubleSeconds(world_.age());
  return verdict;
}

}  // namespace

Verdict Simulate(uint64_t seed, bool keep_trace) {
  Simulation simulation(seed + 1, /*faults=*/true, keep_trace);
  simulation.DrawJobs();
  return simulation.Run();
}

}  // namespace evopress::fault
