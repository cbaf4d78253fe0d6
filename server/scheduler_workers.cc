// The workers' half of Scheduler: sessions, leases, completions.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/conversions.h"
#include "search/sha256.h"
#include "server/scheduler.h"

namespace evopress::server {
namespace {

using Action = CompletionOutcome::Action;
using v1::CompleteTasksResponse;

constexpr absl::Duration kMaxWait = absl::Seconds(30);
constexpr size_t kMaxNameBytes = 256;
constexpr int kMaxCompletions = 1000;
// After an empty poll, and when all long polls are taken.
constexpr absl::Duration kRetryAfter = absl::Milliseconds(50);
constexpr absl::Duration kRetryWhenBusy = absl::Seconds(2);

absl::Status CheckName(const char* field, const std::string& value) {
  if (value.empty() || value.size() > kMaxNameBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, " has ", value.size(), " bytes; 1 to ",
                     kMaxNameBytes, " are possible"));
  }
  return absl::OkStatus();
}

void SetDuration(absl::Duration duration, google::protobuf::Duration& message) {
  const int64_t nanoseconds = absl::ToInt64Nanoseconds(duration);
  message.set_seconds(nanoseconds / 1'000'000'000);
  message.set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
}

// Spreads the polls of many workers: up to twice `base`, by session.
absl::Duration Jittered(absl::Duration base, const std::string& session) {
  const size_t hash = std::hash<std::string>()(session);
  return base + base * (static_cast<double>(hash % 1024) / 1024);
}

// What a task was about, for the error of the job that it ends.
std::string Subject(const v1::Task& task, int64_t round) {
  if (task.has_build()) {
    return absl::StrCat("build task ", task.id().substr(0, 12), " (",
                        task.build().step(), ")");
  }
  const v1::EvaluateTask& work = task.evaluate();
  return absl::StrCat("task ", task.id().substr(0, 12), " after ", round,
                      " rounds (", work.assignments_size(),
                      " assignments on sequences ",
                      absl::StrJoin(work.sequences(), ","), ")");
}

}  // namespace

struct Scheduler::Settlement {
  struct Done {
    v1::Task task;
    v1::TaskResult result;
    double seconds = 0;  // spent, as its worker says
  };
  JournalBatch batch;
  std::vector<Done> done;
  std::set<std::string> touched;  // jobs
  std::set<std::string> rewind;   // jobs whose history holds a wrong result
  // Jobs whose history may hold one: it is no longer in the journal, so that a
  // life that knows nothing of the dispute does not go on from it. The runner
  // waits, and is made anew with the decision.
  std::set<std::string> disputed;
  std::map<std::string, std::string> failed;                 // job -> message
  std::vector<std::pair<std::string, std::string>> audited;  // job, task id
};

namespace {

// Sums that make a search believe what they say, or break it.
bool AllFinite(const v1::TaskResult& result) {
  return std::all_of(
      result.evaluate().sums().begin(), result.evaluate().sums().end(),
      [](const v1::SampleSums& sums) {
        return std::isfinite(sums.kl()) && std::isfinite(sums.topk_kl()) &&
               std::isfinite(sums.nll());
      });
}

}  // namespace

void Scheduler::BeginAudits(Entry& entry) {
  const bool awaited = entry.runner->AwaitsAudits();
  for (const JobRunner::Audit& audit : entry.runner->TakeAudits()) {
    auto added = leases_.AddAudit(audit.task, audit.value, audit.worker);
    if (!added.ok() || !*added) {
      entry.runner->EndAudit(audit.task.id(), /*confirmed=*/added.ok());
    }
  }
  DropHopelessAudits(entry);
  entry.ready = entry.ready || (awaited && !entry.runner->AwaitsAudits());
}

bool Scheduler::DropHopelessAudits(Entry& entry) {
  if (!entry.runner->AwaitsAudits()) return false;
  for (const std::string& id : leases_.TakeHopelessAudits(
           entry.record.id, entry.runner->made_by_fleet(),
           options_.clock->Now())) {
    entry.runner->EndAudit(id, /*confirmed=*/false);
  }
  return !entry.runner->AwaitsAudits();
}

absl::StatusOr<v1::OpenSessionResponse> Scheduler::OpenSession(
    const v1::OpenSessionRequest& request) {
  absl::Status status = CheckName("worker_id", request.worker_id());
  status.Update(CheckName("numeric_class", request.numeric_class()));
  if (request.host().size() > kMaxNameBytes ||
      request.version().size() > kMaxNameBytes ||
      request.capabilities_size() > 100) {
    status.Update(absl::InvalidArgumentError(
        "host, version or capabilities are too long"));
  }
  if (!status.ok()) return status;
  MutexLock lock(mutex_);
  auto session = leases_.OpenSession(request, options_.clock->Now());
  if (!session.ok()) return session.status();
  spdlog::info("worker {} ({}) opens session {}", request.worker_id(),
               request.numeric_class(), *session);
  changed_.NotifyAll();
  v1::OpenSessionResponse response;
  response.set_session(*session);
  SetDuration(options_.leases.heartbeat_interval,
              *response.mutable_heartbeat_interval());
  return response;
}

void Scheduler::PinClasses(const std::string& numeric_class) {
  for (auto& [id, entry] : jobs_) {
    if (entry.runner == nullptr || entry.record.paused ||
        !entry.runner->WaitsForClass()) {
      continue;
    }
    absl::Status status = entry.runner->PinClass(numeric_class);
    if (!status.ok()) {
      StopJob(entry, status);
      continue;
    }
    Step(entry);
  }
}

absl::StatusOr<v1::LeaseTasksResponse> Scheduler::LeaseTasks(
    const v1::LeaseTasksRequest& request) {
  if (request.capacity() < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("capacity is ", request.capacity(), "; 1 or more"));
  }
  const absl::Duration wait =
      std::clamp(absl::Seconds(request.wait().seconds()) +
                     absl::Nanoseconds(request.wait().nanos()),
                 absl::ZeroDuration(), kMaxWait);
  const absl::Time end = options_.clock->Now() + wait;
  MutexLock lock(mutex_);
  const bool may_wait = long_polls_ < options_.max_long_polls;
  ++long_polls_;
  absl::StatusOr<v1::LeaseTasksResponse> response;
  for (;;) {
    auto numeric_class = leases_.ClassForWork(request.session());
    if (!numeric_class.ok()) {
      response = numeric_class.status();
      break;
    }
    if (!numeric_class->empty()) PinClasses(*numeric_class);
    const absl::Time now = options_.clock->Now();
    response = leases_.LeaseTasks(request.session(), request.capacity(), now);
    if (!response.ok() || response->leases_size() > 0 || response->drain() ||
        !may_wait || stopped_ || now >= end) {
      break;
    }
    changed_.WaitFor(mutex_, end - now);
  }
  --long_polls_;
  if (response.ok() && response->leases_size() == 0) {
    SetDuration(
        Jittered(may_wait ? kRetryAfter : kRetryWhenBusy, request.session()),
        *response->mutable_retry_after());
  }
  return response;
}

absl::StatusOr<v1::HeartbeatResponse> Scheduler::Heartbeat(
    const v1::HeartbeatRequest& request) {
  MutexLock lock(mutex_);
  return leases_.Heartbeat(request, options_.clock->Now());
}

absl::Status Scheduler::CloseSession(const std::string& session) {
  MutexLock lock(mutex_);
  absl::Status status = leases_.CloseSession(session, options_.clock->Now());
  changed_.NotifyAll();
  return status;
}

absl::StatusOr<v1::ListWorkersResponse> Scheduler::ListWorkers(
    const v1::ListWorkersRequest& request) {
  constexpr int kPage = 1000;
  MutexLock lock(mutex_);
  const std::vector<v1::Worker> workers = leases_.ListWorkers();
  const size_t page = static_cast<size_t>(
      request.page_size() <= 0 ? kPage : std::min(request.page_size(), kPage));
  v1::ListWorkersResponse response;
  for (const v1::Worker& worker : workers) {
    // A page token is the last worker id listed.
    if (worker.worker_id() <= request.page_token()) continue;
    if (static_cast<size_t>(response.workers_size()) == page) {
      response.set_next_page_token(
          response.workers(response.workers_size() - 1).worker_id());
      break;
    }
    *response.add_workers() = worker;
  }
  return response;
}

absl::Status Scheduler::DrainWorker(const std::string& worker_id) {
  MutexLock lock(mutex_);
  absl::Status status = leases_.DrainWorker(worker_id);
  changed_.NotifyAll();
  return status;
}

absl::StatusOr<CompleteTasksResponse::Verdict> Scheduler::CompleteOne(
    const std::string& session, const v1::Completion& completion,
    Settlement& settlement) {
  const v1::Task* found = leases_.FindTask(completion.task_id());
  const v1::Task task = found == nullptr ? v1::Task() : *found;
  const auto job = jobs_.find(task.job());
  JobRunner* runner = found == nullptr || job == jobs_.end()
                          ? nullptr
                          : job->second.runner.get();

  v1::Fault malformed;
  const v1::Fault* fault =
      completion.has_fault() ? &completion.fault() : nullptr;
  std::string value;
  if (fault == nullptr && runner != nullptr) {
    absl::Status valid =
        completion.has_result()
            ? runner->CheckResult(task, completion.result())
            : absl::InvalidArgumentError("neither result nor fault");
    if (valid.ok()) {
      value = search::Sha256Hex(proto::DeterministicBytes(completion.result()));
    } else {
      malformed.set_kind(v1::Fault::CRASH);
      malformed.set_message(
          absl::StrCat("malformed completion: ", valid.message()));
      fault = &malformed;
    }
  }
  auto outcome = leases_.Complete(session, completion, value, fault,
                                  options_.clock->Now());
  if (!outcome.ok()) return outcome.status();
  liars_.insert(outcome->liars.begin(), outcome->liars.end());
  counted_.faults += fault != nullptr;
  if (!outcome->message.empty()) spdlog::warn("{}", outcome->message);
  if (runner == nullptr) return outcome->verdict;

  JournalBatch& batch = settlement.batch;
  switch (outcome->action) {
    case Action::kNone:
      break;
    case Action::kReplace:
    case Action::kConfirm:
      settlement.rewind.insert(task.job());
      runner->Record(task, completion.result(), /*worker=*/"",
                     outcome->action == Action::kReplace, batch);
      settlement.done.push_back(
          {task, completion.result(), completion.seconds()});
      break;
    case Action::kAccept:
      runner->Record(task, completion.result(), outcome->worker,
                     /*replace=*/false, batch);
      settlement.done.push_back(
          {task, completion.result(), completion.seconds()});
      if ((outcome->audit_due || !AllFinite(completion.result())) &&
          leases_.RequestAudit(task.id())) {
        runner->ExpectAudit(task.id());
      }
      break;
    case Action::kAudited:
      runner->Confirm(task, completion.result(), batch);
      settlement.audited.push_back({task.job(), task.id()});
      break;
    case Action::kDispute:
      runner->Reopen(task, batch);
      settlement.disputed.insert(task.job());
      break;
    case Action::kSplit:
      runner->SplitTask(task);
      leases_.RemoveTask(task.id());
      break;
    case Action::kFail:
      settlement.failed[task.job()] = absl::StrCat(
          Subject(task, runner->record().rounds), ": ", outcome->message);
      break;
  }
  if (outcome->action != Action::kNone) settlement.touched.insert(task.job());
  return fault == &malformed ? CompleteTasksResponse::REJECTED
                             : outcome->verdict;
}

absl::Status Scheduler::Settle(Settlement& settlement) {
  JournalBatch& batch = settlement.batch;
  // What a liar alone vouches for is forgotten, and all searches told anew:
  // those that did not lean on it only replay what they know.
  batch.quarantined.assign(liars_.begin(), liars_.end());
  if (!batch.quarantined.empty()) {
    for (const auto& [id, entry] : jobs_) {
      if (!HasEnded(entry.record)) settlement.rewind.insert(id);
    }
    const auto by_liar = [liars = liars_](const auto& record) {
      return liars.count(record.worker) != 0;
    };
    std::erase_if(batch.measurements, by_liar);
    std::erase_if(batch.builds, by_liar);
  }
  settlement.touched.insert(settlement.rewind.begin(), settlement.rewind.end());
  // A wrong result was told: the search is told anew from the first round.
  // All right measurements are known, so only what follows the wrong one is
  // measured again.
  for (const std::string& job : settlement.touched) {
    const Entry& entry = jobs_.at(job);
    batch.jobs.push_back(entry.runner != nullptr ? entry.runner->record()
                                                 : entry.record);
    if (settlement.rewind.count(job) + settlement.disputed.count(job) != 0) {
      ForgetSearch(batch.jobs.back());
      batch.delete_rounds.push_back(job);
    }
    for (const Settlement::Done& done : settlement.done) {
      if (done.task.job() != job) continue;
      batch.jobs.back().evaluated_tokens += JobRunner::TokensOf(done.task);
    }
  }
  const absl::Time begin = options_.clock->Now();
  absl::Status status = journal_->Commit(batch);
  counted_.commit_seconds.Add(
      absl::ToDoubleSeconds(options_.clock->Now() - begin));
  if (!status.ok()) {
    for (const std::string& job : settlement.touched) {
      StopJob(jobs_.at(job), status);
    }
    return status;
  }
  liars_.clear();
  for (const Settlement::Done& done : settlement.done) {
    jobs_.at(done.task.job()).runner->Finish(done.task, done.result);
    ++counted_.completed_tasks;
    counted_.evaluated_tokens += JobRunner::TokensOf(done.task);
    counted_.task_seconds.Add(done.seconds);
  }
  for (const auto& [job, task] : settlement.audited) {
    jobs_.at(job).runner->EndAudit(task, /*confirmed=*/true);
  }
  for (const auto& [job, message] : settlement.failed) {
    EndJob(jobs_.at(job), v1::Job::FAILED, message).IgnoreError();
  }
  for (const std::string& job : settlement.touched) {
    Entry& entry = jobs_.at(job);
    if (HasEnded(entry.record)) continue;
    const bool halted = entry.runner == nullptr;
    if (settlement.rewind.count(job) != 0) {
      if (!halted) entry.record = entry.runner->record();
      ForgetSearch(entry.record);
      if (!halted) MakeRunner(entry);
    }
    if (entry.runner == nullptr) continue;
    if (entry.record.paused) {
      Changed(entry);
    } else {
      Step(entry);
    }
  }
  return absl::OkStatus();
}

void Scheduler::SettleLiars() {
  if (liars_.empty()) return;
  Settlement settlement;
  Settle(settlement).IgnoreError();  // again with the next turn
}

absl::StatusOr<v1::CompleteTasksResponse> Scheduler::CompleteTasks(
    const v1::CompleteTasksRequest& request) {
  if (request.completions_size() > kMaxCompletions) {
    return absl::InvalidArgumentError(
        absl::StrCat(request.completions_size(), " completions at once; ",
                     kMaxCompletions, " are possible"));
  }
  MutexLock lock(mutex_);
  v1::CompleteTasksResponse response;
  Settlement settlement;
  for (const v1::Completion& completion : request.completions()) {
    auto verdict = CompleteOne(request.session(), completion, settlement);
    if (!verdict.ok()) return verdict.status();
    response.add_verdicts(*verdict);
  }
  absl::Status status = Settle(settlement);
  changed_.NotifyAll();
  if (!status.ok()) return status;
  return response;
}

}  // namespace evopress::server
