#include "tests/fault/worker_node.h"

#include <limits>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "search/sha256.h"
#include "tests/server/small_job.h"

namespace evopress::fault {
namespace {

using worker::SessionMachine;

constexpr absl::Duration kLastDelivery = absl::Seconds(5);
constexpr absl::Duration kComesBack = absl::Seconds(20);

std::string Short(const std::string& id) { return id.substr(0, 8); }

}  // namespace

WorkerNode::WorkerNode(World& world, Network& network,
                       CoordinatorNode& coordinator, FaultBudget& budget,
                       const std::string& id, const WorkerTraits& traits)
    : traits(traits),
      world_(world),
      network_(network),
      coordinator_(coordinator),
      budget_(budget),
      id_(id) {
  endpoint_.name = id;
}

void WorkerNode::After(absl::Duration delay, std::function<void()> event) {
  world_.After(delay,
               [this, incarnation = endpoint_.incarnation,
                event = std::move(event)] { Defer(incarnation, event); });
}

void WorkerNode::Defer(int64_t incarnation, std::function<void()> event) {
  if (incarnation != endpoint_.incarnation) return;
  if (world_.now() < endpoint_.paused_until) {
    world_.After(endpoint_.paused_until - world_.now(),
                 [this, incarnation, event = std::move(event)] {
                   Defer(incarnation, event);
                 });
    return;
  }
  event();
}

void WorkerNode::Start() {
  if (running() || traits.gone) return;
  world_.Trace(id_, ": starts");
  ++endpoint_.incarnation;
  v1::OpenSessionRequest identity;
  identity.set_worker_id(id_);
  identity.set_numeric_class(traits.numeric_class);
  machine_ = std::make_unique<SessionMachine>(identity);
  asking_ = leaving_ = waiting_ = false;
  work_.reset();
  Drive();
  Beat();
}

void WorkerNode::Kill() {
  if (!running()) return;
  world_.Trace(id_, ": killed");
  ++endpoint_.incarnation;
  machine_.reset();
  work_.reset();
  endpoint_.paused_until = absl::InfinitePast();
}

void WorkerNode::Pause(absl::Duration duration) {
  if (!running()) return;
  world_.Trace(id_, ": stopped for ", absl::FormatDuration(duration));
  endpoint_.paused_until = world_.now() + duration;
}

void WorkerNode::Preempt() {
  if (!running() || leaving_ || world_.now() < endpoint_.paused_until) return;
  world_.Trace(id_, ": told to leave");
  leaving_ = true;
  if (work_.has_value()) {
    machine_->Finish(*work_, absl::CancelledError("stopped"),
                     world_.now() - work_began_);
    work_.reset();
    ++work_serial_;
  }
  machine_->Leave(world_.now() + kLastDelivery);
  // A call under way is answered soon enough.
  Drive();
}

void WorkerNode::Drive() {
  if (!running() || asking_ || work_.has_value()) return;
  const SessionMachine::Step step = machine_->Next(world_.now());
  if (const auto* work = std::get_if<SessionMachine::Work>(&step)) {
    BeginWork(*work);
  } else if (const auto* end = std::get_if<SessionMachine::End>(&step)) {
    world_.Trace(id_, ": ends: ", end->status.ToString());
    ++endpoint_.incarnation;
    machine_.reset();
    // A quarantined worker comes back under another name only.
    if (end->status.ok()) {
      world_.After(kComesBack, [this] { Start(); });
    }
  } else if (const auto* wait = std::get_if<SessionMachine::Wait>(&step)) {
    if (waiting_) return;
    waiting_ = true;
    After(wait->until - world_.now(), [this] {
      waiting_ = false;
      Drive();
    });
  } else {
    Send(std::get<SessionMachine::Call>(step));
  }
}

void WorkerNode::Send(const SessionMachine::Call& call) {
  asking_ = true;
  if (const auto* open = std::get_if<v1::OpenSessionRequest>(&call.request)) {
    network_.Ask<v1::OpenSessionResponse>(
        endpoint_, "OpenSession", call.deadline,
        [request = *open](server::Scheduler& scheduler, bool) {
          return std::optional(scheduler.OpenSession(request));
        },
        [this](absl::StatusOr<v1::OpenSessionResponse> answer) {
          if (answer.ok()) {
            world_.Trace(id_, ": has session ", answer->session());
          }
          asking_ = false;
          machine_->Opened(std::move(answer), world_.now());
          Drive();
        });
  } else if (const auto* lease =
                 std::get_if<v1::LeaseTasksRequest>(&call.request)) {
    v1::LeaseTasksRequest now = *lease;
    now.clear_wait();  // the network waits
    network_.Ask<v1::LeaseTasksResponse>(
        endpoint_, "LeaseTasks", call.deadline,
        [now](server::Scheduler& scheduler, bool last)
            -> std::optional<absl::StatusOr<v1::LeaseTasksResponse>> {
          auto response = scheduler.LeaseTasks(now);
          if (response.ok() && response->leases_size() == 0 &&
              !response->drain() && !last) {
            return std::nullopt;
          }
          return response;
        },
        [this,
         request = *lease](absl::StatusOr<v1::LeaseTasksResponse> answer) {
          asking_ = false;
          machine_->Leased(request, std::move(answer), world_.now());
          Drive();
        },
        absl::Seconds(lease->wait().seconds()));
  } else if (const auto* complete =
                 std::get_if<v1::CompleteTasksRequest>(&call.request)) {
    network_.Ask<v1::CompleteTasksResponse>(
        endpoint_, "CompleteTasks", call.deadline,
        [this, request = *complete](server::Scheduler& scheduler, bool) {
          auto response = scheduler.CompleteTasks(request);
          if (response.ok()) coordinator_.CountVerdicts(request, *response);
          return std::optional(std::move(response));
        },
        [this, request = *complete](
            absl::StatusOr<v1::CompleteTasksResponse> answer) {
          for (int i = 0; answer.ok() && i < answer->verdicts_size(); ++i) {
            world_.Trace(
                id_, ": task ", Short(request.completions(i).task_id()), " is ",
                v1::CompleteTasksResponse::Verdict_Name(answer->verdicts(i)));
          }
          asking_ = false;
          machine_->Completed(request, std::move(answer), world_.now());
          Drive();
        });
  } else if (const auto* close =
                 std::get_if<v1::CloseSessionRequest>(&call.request)) {
    network_.Ask<v1::CloseSessionResponse>(
        endpoint_, "CloseSession", call.deadline,
        [request = *close](server::Scheduler& scheduler, bool)
            -> std::optional<absl::StatusOr<v1::CloseSessionResponse>> {
          absl::Status status = scheduler.CloseSession(request.session());
          if (!status.ok()) return status;
          return v1::CloseSessionResponse();
        },
        [this](absl::StatusOr<v1::CloseSessionResponse>) {
          asking_ = false;
          machine_->Closed();
          Drive();
        });
  }
}

void WorkerNode::Beat() {
  const auto request = machine_->Heartbeat();
  const auto again = [this] {
    After(machine_->heartbeat_interval(), [this] { Beat(); });
  };
  if (!request.has_value()) return again();
  network_.Ask<v1::HeartbeatResponse>(
      endpoint_, "Heartbeat", machine_->heartbeat_deadline(),
      [request = *request](server::Scheduler& scheduler, bool) {
        return std::optional(scheduler.Heartbeat(request));
      },
      [this, request = *request,
       again](absl::StatusOr<v1::HeartbeatResponse> answer) {
        machine_->HeartbeatAnswered(request, std::move(answer));
        if (work_.has_value() && *work_->cancelled) EndWork();
        again();
      });
}

void WorkerNode::BeginWork(const SessionMachine::Work& work) {
  work_ = work;
  work_began_ = world_.now();
  world_.Trace(id_, ": works on task ", Short(work.lease.task().id()),
               work.lease.task().has_build() ? " (build)" : "", ", attempt ",
               work.lease.attempt());
  After(world_.Between(traits.shortest, traits.longest),
        [this, serial = ++work_serial_] {
          if (serial == work_serial_) EndWork();
        });
}

void WorkerNode::EndWork() {
  const v1::Task& task = work_->lease.task();
  if (!*work_->cancelled && task.has_build() && !network_.Reaches(endpoint_)) {
    // Blobs go to the coordinator first.
    After(absl::Seconds(1), [this, serial = work_serial_] {
      if (serial == work_serial_) EndWork();
    });
    return;
  }
  ++work_serial_;
  absl::StatusOr<v1::TaskResult> result =
      *work_->cancelled ? absl::CancelledError("called off") : Compute(task);
  if (!running()) return;
  if (!result.ok()) {
    world_.Trace(id_, ": task ", Short(task.id()), ": ",
                 result.status().ToString());
  }
  machine_->Finish(*work_, std::move(result), world_.now() - work_began_);
  work_.reset();
  Drive();
}

absl::StatusOr<v1::TaskResult> WorkerNode::Compute(const v1::Task& task) {
  const int pairs =
      task.evaluate().assignments_size() * task.evaluate().sequences_size();
  if (pairs > traits.max_pairs) {
    return absl::ResourceExhaustedError("out of memory");
  }
  const bool crash = world_.Chance(traits.crash);
  if ((crash || world_.Chance(traits.transient)) &&
      budget_[task.id()] < traits.crashes_per_task) {
    ++budget_[task.id()];
    if (crash) return absl::InternalError("the evaluator died");
    return absl::UnavailableError("a local file is damaged");
  }
  absl::Status uploaded;
  v1::TaskResult result =
      server::FakeResult(task, [&](const std::string& bytes) {
        std::optional<absl::StatusOr<std::string>> put;
        if (coordinator_.up()) {
          put = coordinator_.Serve<absl::StatusOr<std::string>>(
              [&](server::Scheduler&) {
                return coordinator_.artifacts().Put(bytes);
              });
        }
        // As worker/artifact_cache.h: a full disk is not a lack of memory.
        if (!put.has_value() || !put->ok()) {
          uploaded.Update(absl::UnavailableError("cannot upload"));
        }
      });
  if (!uploaded.ok()) return uploaded;
  if (!task.has_evaluate()) return result;
  for (v1::SampleSums& sums : *result.mutable_evaluate()->mutable_sums()) {
    // Another class computes other bits.
    if (traits.numeric_class != "fake-1") sums.set_kl(sums.kl() * 1.001);
    if (answers_ < traits.lies_after) continue;
    const uint64_t how = world_.rng().Below(3);
    sums.set_kl(how == 0   ? std::numeric_limits<double>::quiet_NaN()
                : how == 1 ? sums.kl() * 0.5
                           : sums.kl() * world_.rng().Uniform());
    world_.Trace(id_, ": lies about task ", Short(task.id()), ": ", sums.kl());
  }
  ++answers_;
  return result;
}

}  // namespace evopress::fault
