// What completions do to tasks: accepted results, audits, disputes, faults.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/lease_table.h"

namespace evopress::server {
namespace {

using Action = CompletionOutcome::Action;
using v1::CompleteTasksResponse;

// Of a task that failed, before the same worker tries it again.
constexpr absl::Duration kFirstRest = absl::Seconds(1);
constexpr absl::Duration kLongestRest = absl::Minutes(1);

bool CanSplit(const v1::Task& task) {
  return task.has_evaluate() && (task.evaluate().assignments_size() > 1 ||
                                 task.evaluate().sequences_size() > 1);
}

}  // namespace

absl::StatusOr<CompletionOutcome> LeaseTable::Complete(
    const std::string& session_id, const v1::Completion& completion,
    const std::string& value, const v1::Fault* fault, absl::Time now) {
  auto session = Touch(session_id, now);
  if (!session.ok()) return session.status();
  const std::string worker_id = (*session)->worker;
  WorkerEntry& worker = workers_[worker_id];
  CompletionOutcome outcome;
  outcome.verdict = CompleteTasksResponse::STALE;
  outcome.worker = worker_id;

  // Whether this worker's fault still matters: a late one does not, the task
  // may be with somebody else by now.
  const auto lease = (*session)->leases.find(completion.token());
  const bool own = lease != (*session)->leases.end() &&
                   lease->second.task == completion.task_id();
  const bool holds = own && !lease->second.cancelled;
  const auto it = tasks_.find(completion.task_id());
  if (it == tasks_.end() || worker.state == v1::Worker::QUARANTINED) {
    if (own) DropLease(**session, completion.token());
    return outcome;
  }
  TaskEntry& entry = it->second;
  if (!MayTake(entry, worker)) {
    outcome.verdict = CompleteTasksResponse::REJECTED;
    outcome.message = absl::StrCat(
        "worker ", worker_id, " of numeric class ", worker.info.numeric_class(),
        " answered a task of class ", entry.task.numeric_class());
    return outcome;
  }
  // The lease ends here without putting the task back into the queue.
  if (own) {
    (*session)->leases.erase(lease);
    entry.tokens.erase(completion.token());
  }

  if (fault != nullptr) {
    if (!holds) return outcome;
    if (entry.done && !entry.disputed) {
      entry.avoid.insert(worker_id);  // another one may audit it
      return outcome;
    }
    outcome = CompleteWithFault(it->first, entry, worker_id, *fault, now);
  } else if (entry.disputed) {
    outcome = CompleteDisputed(it->first, entry, worker_id, value, now);
  } else if (entry.done) {
    outcome = CompleteAgain(it->first, entry, worker_id, value);
  } else {
    ++worker.completed;
    entry.done = true;
    --open_tasks_;
    entry.accepted = value;
    entry.votes[value].insert(worker_id);
    CancelLeases(entry);
    if (entry.queued) {
      std::deque<std::string>& queue = queues_[entry.task.job()];
      queue.erase(std::remove(queue.begin(), queue.end(), it->first),
                  queue.end());
      if (queue.empty()) queues_.erase(entry.task.job());
      entry.queued = false;
    }
    outcome.verdict = CompleteTasksResponse::ACCEPTED;
    outcome.action = Action::kAccept;
    outcome.audit_due = worker.results++ % options_.results_per_audit == 0;
  }
  outcome.worker = worker_id;
  return outcome;
}

// Of a done task: an audit, or the late answer of one who lost its lease.
CompletionOutcome LeaseTable::CompleteAgain(const std::string& id,
                                            TaskEntry& entry,
                                            const std::string& worker_id,
                                            const std::string& value) {
  CompletionOutcome outcome;
  if (value == entry.accepted) {
    outcome.verdict = CompleteTasksResponse::DUPLICATE;
    if (!entry.votes[value].insert(worker_id).second ||
        entry.votes[value].size() != 2) {
      return outcome;
    }
    ++workers_[worker_id].completed;
    EndAudit(id, entry);
    CancelLeases(entry);
    outcome.action = Action::kAudited;
    return outcome;
  }
  EndAudit(id, entry);
  entry.disputed = true;
  outcome.verdict = CompleteTasksResponse::CONFLICT;
  if (entry.votes[entry.accepted].count(worker_id) == 0) {
    entry.votes[value].insert(worker_id);
  }
  if (entry.votes[entry.accepted].size() >= 2) {
    entry.disputed = false;
    Quarantine(worker_id);
    outcome.liars = {worker_id};
    outcome.message =
        absl::StrCat("worker ", worker_id, " gave a result of ", id,
                     " that two others agree is wrong; it is "
                     "quarantined");
    return outcome;
  }
  entry.avoid.insert(worker_id);
  for (const std::string& voter : entry.votes[entry.accepted]) {
    entry.avoid.insert(voter);
  }
  ++open_tasks_;
  if (entry.tokens.empty()) Enqueue(id, entry, /*first=*/true);
  outcome.action = Action::kDispute;
  outcome.message = absl::StrCat(
      "two different results of task ", id, ": worker ", worker_id,
      " contradicts ", absl::StrJoin(entry.votes[entry.accepted], ", "),
      "; another worker has to decide");
  return outcome;
}

CompletionOutcome LeaseTable::CompleteDisputed(const std::string& id,
                                               TaskEntry& entry,
                                               const std::string& worker_id,
                                               const std::string& value,
                                               absl::Time now) {
  CompletionOutcome outcome;
  for (const auto& [before, voters] : entry.votes) {
    if (voters.count(worker_id) == 0) continue;
    return RepeatOpinion(id, entry, worker_id, std::string(before), value, now);
  }
  entry.votes[value].insert(worker_id);
  entry.avoid.insert(worker_id);
  ++workers_[worker_id].completed;
  if (entry.votes[value].size() < 2) {
    outcome.verdict = CompleteTasksResponse::CONFLICT;
    if (static_cast<int>(entry.votes.size()) >= options_.max_votes) {
      outcome.action = Action::kFail;
      outcome.message = absl::StrCat(
          "task ", id, " is not reproducible: ", entry.votes.size(),
          " workers gave as many results");
      return outcome;
    }
    if (entry.tokens.empty()) Enqueue(id, entry, /*first=*/true);
    return outcome;
  }
  return Decide(id, entry, value);
}

// Nobody else was there to decide. Equal again says nothing new, unless all
// other opinions are withdrawn.
CompletionOutcome LeaseTable::RepeatOpinion(
    const std::string& id, TaskEntry& entry, const std::string& worker_id,
    const std::string& before, const std::string& value, absl::Time now) {
  CompletionOutcome outcome;
  if (before != value) {
    entry.votes[before].erase(worker_id);
    if (entry.votes[before].empty()) entry.votes.erase(before);
    Quarantine(worker_id);
    outcome.verdict = CompleteTasksResponse::CONFLICT;
    outcome.liars = {worker_id};
    outcome.message = absl::StrCat("worker ", worker_id,
                                   " gave two different results of task ", id,
                                   "; it is quarantined");
    if (entry.tokens.empty()) Enqueue(id, entry, /*first=*/true);
    return outcome;
  }
  if (entry.votes.size() == 1) return Decide(id, entry, value);
  outcome.verdict = CompleteTasksResponse::DUPLICATE;
  RetryLater(id, entry, worker_id, ++entry.repeated, now);
  return outcome;
}

// REQUIRES: `value` has votes.
CompletionOutcome LeaseTable::Decide(const std::string& id, TaskEntry& entry,
                                     const std::string& value) {
  CompletionOutcome outcome;
  outcome.verdict = CompleteTasksResponse::ACCEPTED;
  outcome.action =
      value == entry.accepted ? Action::kConfirm : Action::kReplace;
  entry.accepted = value;
  entry.disputed = false;
  --open_tasks_;
  CancelLeases(entry);
  for (const auto& [other, voters] : entry.votes) {
    if (other == value) continue;
    outcome.liars.insert(outcome.liars.end(), voters.begin(), voters.end());
  }
  for (const std::string& liar : outcome.liars) Quarantine(liar);
  outcome.message = absl::StrCat("task ", id, " is decided; quarantined: ",
                                 absl::StrJoin(outcome.liars, ", "));
  return outcome;
}

CompletionOutcome LeaseTable::CompleteWithFault(const std::string& id,
                                                TaskEntry& entry,
                                                const std::string& worker_id,
                                                const v1::Fault& fault,
                                                absl::Time now) {
  CompletionOutcome outcome;
  outcome.verdict = CompleteTasksResponse::ACCEPTED;
  outcome.message = absl::StrCat("worker ", worker_id, ": ",
                                 v1::Fault::Kind_Name(fault.kind()), ": ",
                                 fault.message().substr(0, 2000));
  entry.last_fault = outcome.message;
  if (fault.kind() == v1::Fault::BAD_INPUT) {
    outcome.action = Action::kFail;
    return outcome;
  }
  entry.avoid.insert(worker_id);
  if (entry.disputed) {  // those who voted could do it
    RetryLater(id, entry, worker_id, ++entry.repeated, now);
    return outcome;
  }
  if (fault.kind() == v1::Fault::OUT_OF_MEMORY && CanSplit(entry.task)) {
    outcome.action = Action::kSplit;
    return outcome;
  }
  if (fault.kind() == v1::Fault::TRANSIENT) {
    if (++entry.transient_faults >= options_.max_transient_faults) {
      outcome.action = Action::kFail;
      outcome.message =
          absl::StrCat(entry.transient_faults,
                       " attempts did not heal, the last on ", outcome.message);
      return outcome;
    }
    RetryLater(id, entry, worker_id, entry.transient_faults, now);
    return outcome;
  }
  const int own = ++entry.faults[worker_id];
  entry.first_fault = std::min(entry.first_fault, now);
  const bool alone = !AnotherMayCome(entry, now) &&
                     now - entry.first_fault >= options_.fleet_patience;
  if (static_cast<int>(entry.faults.size()) >= options_.max_faults ||
      (alone && own >= options_.max_faults)) {
    outcome.action = Action::kFail;
    int all = 0;
    for (const auto& [worker, count] : entry.faults) all += count;
    outcome.message =
        absl::StrCat(all, " attempts on ", entry.faults.size(),
                     " workers failed, the last on ", outcome.message);
    return outcome;
  }
  RetryLater(id, entry, worker_id, own, now);
  return outcome;
}

bool LeaseTable::AnotherMayCome(const TaskEntry& entry, absl::Time now) const {
  for (const auto& [id, worker] : workers_) {
    const bool there = worker.state == v1::Worker::ACTIVE ||
                       (worker.state == v1::Worker::LOST &&
                        now - worker.last_seen < options_.fleet_patience);
    const auto faults = entry.faults.find(id);
    const bool gave_up =
        faults != entry.faults.end() && faults->second >= options_.max_faults;
    if (there && MayTake(entry, worker) && !gave_up) return true;
  }
  return false;
}

// Another worker may take it at once; the same one after a rest.
void LeaseTable::RetryLater(const std::string& id, TaskEntry& entry,
                            const std::string& worker, int failures,
                            absl::Time now) {
  if (!entry.tokens.empty()) return;
  if (AnotherCanTake(entry, worker)) {
    Enqueue(id, entry, /*first=*/true);
    return;
  }
  const absl::Duration rest =
      std::min(kFirstRest * (1 << std::min(failures - 1, 10)), kLongestRest);
  resting_.emplace(now + rest, id);
}

}  // namespace evopress::server
