#include "tests/fault/coordinator_node.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace evopress::fault {
namespace {

constexpr absl::Duration kTick = absl::Seconds(1);
constexpr absl::Duration kSoon = absl::Milliseconds(1);
constexpr int kMaxStepsAtOnce = 10'000;

}  // namespace

CoordinatorNode::CoordinatorNode(World& world,
                                 const server::SchedulerOptions& options)
    : world_(world),
      options_(options),
      clock_(world),
      artifacts_(disk_, hooks_) {
  options_.clock = &clock_;
  options_.background = false;
  hooks_.before = [this] { return BeforeWrite(); };
  hooks_.after = [this] { AfterWrite(); };
}

absl::Status CoordinatorNode::BeforeWrite() {
  ++commits_;
  if (disk_full) return absl::ResourceExhaustedError("disk full");
  if (world_.Chance(kill_at_commit)) {
    world_.Trace("coordinator: dies before write ", commits_);
    throw Killed();
  }
  return absl::OkStatus();
}

void CoordinatorNode::AfterWrite() {
  if (world_.Chance(kill_at_commit)) {
    world_.Trace("coordinator: dies after write ", commits_);
    throw Killed();
  }
}

void CoordinatorNode::Guarded(const std::function<void()>& action) {
  try {
    action();
  } catch (const Killed&) {
    Kill("at a write");
  }
}

void CoordinatorNode::Start() {
  if (up()) return;
  ++lives_;
  clock_.NewProcess();
  options_.leases.epoch = absl::StrCat(absl::ToUnixNanos(clock_.Now()));
  world_.Trace("coordinator: life ", lives_);
  Guarded([this] {
    auto scheduler = server::Scheduler::Start(OpenMemoryJournal(disk_, hooks_),
                                              artifacts_, options_);
    if (!scheduler.ok()) {
      world_.Violate(absl::StrCat("the coordinator does not start: ",
                                  scheduler.status().ToString()));
      return;
    }
    scheduler_ = *std::move(scheduler);
  });
  if (!up()) {
    world_.After(downtime, [this] { Start(); });
    return;
  }
  ticking_ = false;
  Tick(lives_, /*once=*/false);
}

void CoordinatorNode::Kill(const std::string& how) {
  if (!up()) return;
  world_.Trace("coordinator: killed ", how);
  scheduler_.reset();
  paused_until_ = absl::InfinitePast();
  for (const LongPoll& poll : std::exchange(polls_, {})) poll.gone();
  world_.After(world_.Between(absl::Milliseconds(100), downtime),
               [this] { Start(); });
}

void CoordinatorNode::Pause(absl::Duration duration) {
  world_.Trace("coordinator: stopped for ", absl::FormatDuration(duration));
  paused_until_ = world_.now() + duration;
}

void CoordinatorNode::JumpClock(absl::Duration by) {
  world_.Trace("coordinator: clock jumps by ", absl::FormatDuration(by));
  clock_.jumped += by;
}

void CoordinatorNode::Tick(int life, bool once) {
  if (!up() || life != lives_) return;
  if (world_.now() < paused_until_) {
    world_.After(paused_until_ - world_.now(),
                 [this, life, once] { Tick(life, once); });
    return;
  }
  if (once) ticking_ = false;
  bool more = true;
  for (int steps = 0; more && up(); ++steps) {
    if (steps == kMaxStepsAtOnce) {
      world_.Violate("the coordinator moves without end");
      return;
    }
    Guarded([&] { more = scheduler_->Poll(); });
  }
  TryPolls();
  if (!once) {
    world_.After(kTick, [this, life] { Tick(life, /*once=*/false); });
  }
}

void CoordinatorNode::Poll(std::function<bool(server::Scheduler&)> request,
                           std::function<void()> gone) {
  bool done = false;
  Guarded([&] { done = request(*scheduler_); });
  if (!up()) return gone();
  if (!done) polls_.push_back({std::move(request), std::move(gone)});
  if (ticking_) return;
  ticking_ = true;
  const int life = lives_;
  world_.After(kSoon, [this, life] { Tick(life, /*once=*/true); });
}

void CoordinatorNode::TryPolls() {
  std::vector<LongPoll> waiting = std::exchange(polls_, {});
  for (LongPoll& poll : waiting) {
    bool done = false;
    if (up()) Guarded([&] { done = poll.request(*scheduler_); });
    if (!up()) {
      poll.gone();
    } else if (!done) {
      polls_.push_back(std::move(poll));
    }
  }
}

void CoordinatorNode::CountVerdicts(const v1::CompleteTasksRequest& request,
                                    const v1::CompleteTasksResponse& response) {
  if (request.completions_size() != response.verdicts_size()) {
    world_.Violate("not one verdict a completion");
    return;
  }
  for (int i = 0; i < request.completions_size(); ++i) {
    const v1::Completion& completion = request.completions(i);
    if (!completion.has_result()) continue;
    if (response.verdicts(i) != v1::CompleteTasksResponse::ACCEPTED) continue;
    // What was forgotten for a lie may be measured, and accepted, again.
    if (++accepted_[completion.task_id()] > 1 &&
        disk_.forgotten_measurements == 0) {
      world_.Violate(absl::StrCat("task ", completion.task_id().substr(0, 12),
                                  " has been accepted twice"));
    }
  }
}

}  // namespace evopress::fault
