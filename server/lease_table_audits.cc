// A second worker computes what one has computed alone.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/lease_table.h"

namespace evopress::server {

bool LeaseTable::RequestAudit(const std::string& id) {
  const auto it = tasks_.find(id);
  if (it == tasks_.end()) return false;
  TaskEntry& entry = it->second;
  if (!entry.done || entry.disputed) return false;
  if (entry.audit) return true;
  if (entry.votes[entry.accepted].size() >= 2) return false;
  entry.audit = true;
  audits_[entry.task.job()].push_back(id);
  return true;
}

absl::StatusOr<bool> LeaseTable::AddAudit(const v1::Task& task,
                                          const std::string& value,
                                          const std::string& worker) {
  if (tasks_.count(task.id()) == 0) {
    if (static_cast<int64_t>(tasks_.size()) >= options_.max_tasks) {
      return absl::ResourceExhaustedError(
          absl::StrCat(tasks_.size(), " tasks are known already, the limit is ",
                       options_.max_tasks));
    }
    TaskEntry& entry = tasks_[task.id()];
    entry.task = task;
    entry.done = true;
    entry.accepted = value;
    entry.votes[value].insert(worker);
  }
  return RequestAudit(task.id());
}

void LeaseTable::EndAudit(const std::string& id, TaskEntry& entry) {
  if (!entry.audit) return;
  entry.audit = false;
  const auto queue = audits_.find(entry.task.job());
  std::erase(queue->second, id);
  if (queue->second.empty()) audits_.erase(queue);
}

std::string LeaseTable::NextAuditFor(const WorkerEntry& worker) {
  const std::string& worker_id = worker.info.worker_id();
  for (const auto& [job, queue] : audits_) {
    if (paused_.count(job) != 0) continue;
    for (const std::string& id : queue) {
      TaskEntry& entry = tasks_.at(id);
      // All tasks of a job share one class.
      if (!MayTake(entry, worker)) break;
      if (entry.tokens.empty() && entry.avoid.count(worker_id) == 0 &&
          entry.votes[entry.accepted].count(worker_id) == 0) {
        return id;
      }
    }
  }
  return "";
}

std::vector<std::string> LeaseTable::TakeHopelessAudits(const std::string& job,
                                                        bool fleet,
                                                        absl::Time now) {
  std::vector<std::string> hopeless;
  const auto queue = audits_.find(job);
  if (queue == audits_.end()) return hopeless;
  const bool early = fleet && now - first_time_ < options_.fleet_patience;
  for (const std::string& id : queue->second) {
    const TaskEntry& entry = tasks_.at(id);
    bool hope = early || !entry.tokens.empty();
    for (auto it = workers_.begin(); !hope && it != workers_.end(); ++it) {
      const WorkerEntry& worker = it->second;
      const bool gone = worker.state == v1::Worker::LOST ||
                        worker.state == v1::Worker::CLOSED;
      const bool there =
          worker.state == v1::Worker::ACTIVE ||
          (fleet && gone && now - worker.last_seen < options_.fleet_patience);
      hope = there && MayTake(entry, worker) &&
             entry.avoid.count(it->first) == 0 &&
             entry.votes.at(entry.accepted).count(it->first) == 0;
    }
    if (!hope) hopeless.push_back(id);
  }
  for (const std::string& id : hopeless) EndAudit(id, tasks_.at(id));
  return hopeless;
}

void LeaseTable::AddQuarantined(const std::string& worker) {
  workers_[worker].state = v1::Worker::QUARANTINED;
  workers_[worker].info.set_worker_id(worker);
}

}  // namespace evopress::server
