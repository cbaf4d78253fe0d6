#include "server/lease_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace evopress::server {
namespace {

void SetDuration(absl::Duration duration, google::protobuf::Duration& message) {
  const int64_t nanoseconds = absl::ToInt64Nanoseconds(duration);
  message.set_seconds(nanoseconds / 1'000'000'000);
  message.set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
}

}  // namespace

absl::Status LeaseTable::AddTask(const v1::Task& task) {
  if (tasks_.count(task.id()) != 0) return absl::OkStatus();
  if (static_cast<int64_t>(tasks_.size()) >= options_.max_tasks) {
    return absl::ResourceExhaustedError(
        absl::StrCat(tasks_.size(), " tasks wait already, the limit is ",
                     options_.max_tasks));
  }
  TaskEntry& entry = tasks_[task.id()];
  entry.task = task;
  ++open_tasks_;
  Enqueue(task.id(), entry, /*first=*/false);
  return absl::OkStatus();
}

void LeaseTable::Enqueue(const std::string& id, TaskEntry& entry, bool first) {
  if (entry.queued) return;
  entry.queued = true;
  std::deque<std::string>& queue = queues_[entry.task.job()];
  if (first) {
    queue.push_front(id);
  } else {
    queue.push_back(id);
  }
}

void LeaseTable::CancelLeases(TaskEntry& entry) {
  for (const std::string& token : entry.tokens) {
    for (auto& [name, session] : sessions_) {
      const auto it = session.leases.find(token);
      if (it != session.leases.end()) it->second.cancelled = true;
    }
  }
  entry.tokens.clear();
}

void LeaseTable::RemoveTask(const std::string& id) {
  const auto it = tasks_.find(id);
  if (it == tasks_.end()) return;
  CancelLeases(it->second);
  if (it->second.queued) {
    std::deque<std::string>& queue = queues_[it->second.task.job()];
    queue.erase(std::remove(queue.begin(), queue.end(), id), queue.end());
    if (queue.empty()) queues_.erase(it->second.task.job());
  }
  if (!it->second.done || it->second.disputed) --open_tasks_;
  EndAudit(id, it->second);
  tasks_.erase(it);
}

void LeaseTable::RemoveJob(const std::string& job) {
  std::vector<std::string> ids;
  for (const auto& [id, entry] : tasks_) {
    if (entry.task.job() == job) ids.push_back(id);
  }
  for (const std::string& id : ids) RemoveTask(id);
  queues_.erase(job);
  paused_.erase(job);
  priorities_.erase(job);
}

void LeaseTable::SetPriority(const std::string& job, int priority) {
  if (priority == 0) {
    priorities_.erase(job);
  } else {
    priorities_[job] = priority;
  }
}

void LeaseTable::SetPaused(const std::string& job, bool paused) {
  if (paused) {
    paused_.insert(job);
  } else {
    paused_.erase(job);
  }
}

const v1::Task* LeaseTable::FindTask(const std::string& id) const {
  const auto it = tasks_.find(id);
  return it == tasks_.end() ? nullptr : &it->second.task;
}

absl::StatusOr<std::string> LeaseTable::OpenSession(
    const v1::OpenSessionRequest& request, absl::Time now) {
  const auto known = workers_.find(request.worker_id());
  if (known == workers_.end()) {
    if (static_cast<int64_t>(workers_.size()) >= options_.max_workers) {
      ForgetOldWorkers();
    }
    if (static_cast<int64_t>(workers_.size()) >= options_.max_workers) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "the limit of ", options_.max_workers, " workers is reached"));
    }
  } else if (known->second.state == v1::Worker::QUARANTINED) {
    return absl::PermissionDeniedError(
        absl::StrCat("worker ", request.worker_id(),
                     " is quarantined: other workers did not reproduce its "
                     "results; check the machine, then use a new worker id"));
  }
  WorkerEntry& worker = workers_[request.worker_id()];
  if (!worker.session.empty()) DropSession(worker.session);
  worker.info = request;
  worker.state = v1::Worker::ACTIVE;
  worker.last_seen = now;
  worker.session = absl::StrCat("s-", options_.epoch, "-", next_serial_++);
  SessionEntry& session = sessions_[worker.session];
  session.worker = request.worker_id();
  session.last_seen = now;
  return worker.session;
}

absl::StatusOr<LeaseTable::SessionEntry*> LeaseTable::Touch(
    const std::string& session, absl::Time now) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) {
    return absl::AbortedError("the session is not valid; open a new one");
  }
  it->second.last_seen = now;
  WorkerEntry& worker = workers_[it->second.worker];
  worker.last_seen = now;
  if (worker.state == v1::Worker::LOST) worker.state = v1::Worker::ACTIVE;
  for (auto& [token, lease] : it->second.leases) {
    if (!lease.cancelled) lease.expiry = now + LeaseTime();
  }
  return &it->second;
}

absl::StatusOr<std::string> LeaseTable::ClassForWork(
    const std::string& session) const {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) {
    return absl::AbortedError("the session is not valid; open a new one");
  }
  const WorkerEntry& worker = workers_.at(it->second.worker);
  const bool may_work =
      worker.state == v1::Worker::ACTIVE || worker.state == v1::Worker::LOST;
  return may_work ? worker.info.numeric_class() : "";
}

bool LeaseTable::MayTake(const TaskEntry& entry,
                         const WorkerEntry& worker) const {
  return entry.task.numeric_class() == worker.info.numeric_class();
}

bool LeaseTable::AnotherCanTake(const TaskEntry& entry,
                                const std::string& worker_id) const {
  for (const auto& [id, worker] : workers_) {
    if (id != worker_id && worker.state == v1::Worker::ACTIVE &&
        MayTake(entry, worker) && entry.avoid.count(id) == 0) {
      return true;
    }
  }
  return false;
}

// Jobs of a higher priority first; of equal ones each has its turn. Within a
// job tasks go out in their own order.
std::vector<LeaseTable::Queues::iterator> LeaseTable::Turns() {
  std::vector<Queues::iterator> turns;
  auto job = queues_.upper_bound(last_job_);
  for (size_t i = 0; i < queues_.size(); ++i, ++job) {
    if (job == queues_.end()) job = queues_.begin();
    if (paused_.count(job->first) == 0) turns.push_back(job);
  }
  const auto priority = [this](Queues::iterator of) {
    const auto it = priorities_.find(of->first);
    return it == priorities_.end() ? 0 : it->second;
  };
  if (!priorities_.empty()) {
    std::stable_sort(turns.begin(), turns.end(),
                     [&](Queues::iterator a, Queues::iterator b) {
                       return priority(a) > priority(b);
                     });
  }
  return turns;
}

std::string LeaseTable::NextTaskFor(const WorkerEntry& worker) {
  const std::string& worker_id = worker.info.worker_id();
  for (const Queues::iterator job : Turns()) {
    std::deque<std::string>& queue = job->second;
    for (size_t i = 0; i < queue.size(); ++i) {
      TaskEntry& entry = tasks_.at(queue[i]);
      // All tasks of a job share one class: no need to look further.
      if (!MayTake(entry, worker)) break;
      if (entry.avoid.count(worker_id) != 0 &&
          AnotherCanTake(entry, worker_id)) {
        continue;
      }
      const std::string id = queue[i];
      entry.queued = false;
      last_job_ = job->first;
      queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(i));
      if (queue.empty()) queues_.erase(job);
      return id;
    }
  }
  return NextAuditFor(worker);
}

absl::StatusOr<v1::LeaseTasksResponse> LeaseTable::LeaseTasks(
    const std::string& session_id, int capacity, absl::Time now) {
  auto session = Touch(session_id, now);
  if (!session.ok()) return session.status();
  WorkerEntry& worker = workers_[(*session)->worker];
  v1::LeaseTasksResponse response;
  response.set_drain(worker.state != v1::Worker::ACTIVE);
  capacity = std::clamp(capacity, 1, options_.max_leases_per_session);
  int held = 0;
  for (const auto& [token, lease] : (*session)->leases) {
    if (!lease.cancelled) ++held;
  }
  while (!response.drain() && held < capacity) {
    const std::string id = NextTaskFor(worker);
    if (id.empty()) break;
    TaskEntry& entry = tasks_.at(id);
    const std::string token =
        absl::StrCat("l-", options_.epoch, "-", next_serial_++);
    entry.tokens.insert(token);
    (*session)->leases[token] = {id,
                                 session_id,
                                 ++entry.attempts,
                                 /*cancelled=*/false,
                                 now,
                                 now + LeaseTime()};
    ++held;
  }
  for (const auto& [token, lease] : (*session)->leases) {
    if (lease.cancelled) continue;
    v1::Lease& message = *response.add_leases();
    *message.mutable_task() = tasks_.at(lease.task).task;
    message.set_attempt(lease.attempt);
    message.set_token(token);
    SetDuration(lease.expiry - now, *message.mutable_time_to_live());
  }
  return response;
}

absl::StatusOr<v1::HeartbeatResponse> LeaseTable::Heartbeat(
    const v1::HeartbeatRequest& request, absl::Time now) {
  auto session = Touch(request.session(), now);
  if (!session.ok()) return session.status();
  v1::HeartbeatResponse response;
  response.set_drain(workers_[(*session)->worker].state != v1::Worker::ACTIVE);
  for (const auto& [token, lease] : (*session)->leases) {
    if (lease.cancelled) response.add_cancelled_tokens(token);
  }
  return response;
}

void LeaseTable::DropLease(SessionEntry& session, std::string token) {
  const auto it = session.leases.find(token);
  if (it == session.leases.end()) return;
  const std::string id = it->second.task;
  session.leases.erase(it);
  const auto task = tasks_.find(id);
  if (task == tasks_.end() || task->second.tokens.erase(token) == 0) return;
  TaskEntry& entry = task->second;
  if (entry.tokens.empty() && (!entry.done || entry.disputed)) {
    Enqueue(id, entry, /*first=*/true);
  }
}

void LeaseTable::DropSession(const std::string& session_id) {
  const auto it = sessions_.find(session_id);
  if (it == sessions_.end()) return;
  while (!it->second.leases.empty()) {
    DropLease(it->second, it->second.leases.begin()->first);
  }
  workers_[it->second.worker].session.clear();
  sessions_.erase(it);
}

absl::Status LeaseTable::CloseSession(const std::string& session_id,
                                      absl::Time now) {
  auto session = Touch(session_id, now);
  if (!session.ok()) return session.status();
  WorkerEntry& worker = workers_[(*session)->worker];
  if (worker.state != v1::Worker::QUARANTINED) {
    worker.state = v1::Worker::CLOSED;
  }
  DropSession(session_id);
  return absl::OkStatus();
}

void LeaseTable::Quarantine(const std::string& worker_id) {
  WorkerEntry& worker = workers_[worker_id];
  worker.state = v1::Worker::QUARANTINED;
  const auto it = sessions_.find(worker.session);
  if (it == sessions_.end()) return;
  while (!it->second.leases.empty()) {
    DropLease(it->second, it->second.leases.begin()->first);
  }
}

bool LeaseTable::Expire(absl::Time now) {
  first_time_ = std::min(first_time_, now);
  bool freed = false;
  while (!resting_.empty() && resting_.begin()->first <= now) {
    const auto it = tasks_.find(resting_.begin()->second);
    resting_.erase(resting_.begin());
    if (it == tasks_.end()) continue;
    TaskEntry& entry = it->second;
    if (!entry.tokens.empty() || (entry.done && !entry.disputed)) continue;
    Enqueue(it->first, entry, /*first=*/true);
    freed = true;
  }
  for (auto& [id, session] : sessions_) {
    std::vector<std::string> expired;
    for (const auto& [token, lease] : session.leases) {
      if (lease.expiry <= now) expired.push_back(token);
    }
    for (const std::string& token : expired) {
      DropLease(session, token);
      freed = true;
    }
    WorkerEntry& worker = workers_[session.worker];
    if (session.last_seen + LeaseTime() <= now &&
        worker.state == v1::Worker::ACTIVE) {
      worker.state = v1::Worker::LOST;
    }
  }
  return freed;
}

void LeaseTable::ForgetOldWorkers() {
  for (auto it = workers_.begin(); it != workers_.end();) {
    const bool gone = it->second.state == v1::Worker::LOST ||
                      it->second.state == v1::Worker::CLOSED;
    if (gone) {
      DropSession(it->second.session);
      it = workers_.erase(it);
    } else {
      ++it;
    }
  }
}

absl::Status LeaseTable::DrainWorker(const std::string& worker_id) {
  const auto it = workers_.find(worker_id);
  if (it == workers_.end()) {
    return absl::NotFoundError(absl::StrCat("no worker ", worker_id));
  }
  if (it->second.state == v1::Worker::ACTIVE ||
      it->second.state == v1::Worker::LOST) {
    it->second.state = v1::Worker::DRAINING;
  }
  return absl::OkStatus();
}

std::vector<v1::Worker> LeaseTable::ListWorkers() const {
  std::vector<v1::Worker> workers;
  for (const auto& [id, entry] : workers_) {
    v1::Worker& worker = workers.emplace_back();
    worker.set_worker_id(id);
    worker.set_state(entry.state);
    worker.set_numeric_class(entry.info.numeric_class());
    worker.set_host(entry.info.host());
    worker.set_version(entry.info.version());
    worker.set_completed_tasks(entry.completed);
    const int64_t nanoseconds = absl::ToUnixNanos(entry.last_seen);
    worker.mutable_last_seen()->set_seconds(nanoseconds / 1'000'000'000);
    worker.mutable_last_seen()->set_nanos(
        static_cast<int32_t>(nanoseconds % 1'000'000'000));
    const auto session = sessions_.find(entry.session);
    if (session != sessions_.end()) {
      worker.set_leases(static_cast<int32_t>(session->second.leases.size()));
    }
  }
  return workers;
}

}  // namespace evopress::server
