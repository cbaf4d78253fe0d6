// What people are told of the table.
#include "server/lease_table.h"

namespace evopress::server {

LeaseTable::Counts LeaseTable::Count(const std::string& job,
                                     absl::Time now) const {
  Counts counts;
  const auto ours = [&](const TaskEntry& entry) {
    return job.empty() || entry.task.job() == job;
  };
  for (const auto& [id, entry] : tasks_) {
    if (!ours(entry)) continue;
    counts.queued += entry.queued;
    counts.leased += !entry.tokens.empty();
    counts.audits += entry.audit;
  }
  for (const auto& [time, id] : resting_) {
    const auto it = tasks_.find(id);
    if (it == tasks_.end() || !ours(it->second)) continue;
    ++counts.resting;
    counts.last_fault = it->second.last_fault;
  }
  for (const auto& [id, worker] : workers_) {
    ++counts.workers[worker.state];
    if (worker.state != v1::Worker::ACTIVE) continue;
    const std::string& numeric_class = worker.info.numeric_class();
    ++counts.connected[numeric_class];
    bool busy = false;
    const auto session = sessions_.find(worker.session);
    if (session == sessions_.end()) continue;
    for (const auto& [token, lease] : session->second.leases) {
      if (lease.cancelled) continue;
      busy = true;
      if (!ours(tasks_.at(lease.task))) continue;
      if (now - lease.begin >= counts.oldest_lease) {
        counts.oldest_lease = now - lease.begin;
        counts.oldest_worker = id;
      }
    }
    counts.busy[numeric_class] += busy;
  }
  return counts;
}

}  // namespace evopress::server
