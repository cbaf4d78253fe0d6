#include "worker/session_machine.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "search/rng.h"
#include "worker/retry_pause.h"

namespace evopress::worker {
namespace {

constexpr int kCapacity = 2;  // one in work, one prefetched
constexpr absl::Duration kPollWait = absl::Seconds(10);
constexpr absl::Duration kCallDeadline = absl::Seconds(20);
constexpr absl::Duration kCloseDeadline = absl::Seconds(2);
constexpr size_t kCompletionsPerCall = 16;

google::protobuf::Duration ToProto(absl::Duration duration) {
  google::protobuf::Duration out;
  out.set_seconds(absl::ToInt64Seconds(duration));
  out.set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(duration - absl::Seconds(out.seconds()))));
  return out;
}

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

v1::Fault FaultOf(const absl::Status& status) {
  v1::Fault fault;
  fault.set_message(std::string(status.message()));
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
      fault.set_kind(v1::Fault::OUT_OF_MEMORY);
      break;
    case absl::StatusCode::kInternal:
      fault.set_kind(v1::Fault::CRASH);
      break;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
      fault.set_kind(v1::Fault::TRANSIENT);
      break;
    default:
      fault.set_kind(v1::Fault::BAD_INPUT);
      break;
  }
  return fault;
}

// The store may be full, or the coordinator in trouble: worth another try.
bool MayHeal(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kUnknown:
      return true;
    default:
      return false;
  }
}

}  // namespace

SessionMachine::SessionMachine(v1::OpenSessionRequest identity)
    : identity_(std::move(identity)) {}

SessionMachine::Call SessionMachine::OpenCall() const {
  return {identity_, kCallDeadline};
}

bool SessionMachine::Away(const absl::Status& status, absl::Time now) {
  // Cancelled: we gave up waiting ourselves.
  if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status) &&
      !absl::IsResourceExhausted(status) && !absl::IsCancelled(status)) {
    return false;
  }
  // Spread over the workers, alike in every run.
  search::Rng jitter(std::hash<std::string>()(identity_.worker_id()),
                     pauses_++);
  retry_at_ = now + RetryPause(attempts_++, jitter.Uniform());
  return true;
}

std::optional<SessionMachine::Call> SessionMachine::Delivery(absl::Time now) {
  if (finished_.empty() || now < retry_at_ || !refused_.ok()) {
    return std::nullopt;
  }
  if (session_.empty()) return OpenCall();
  v1::CompleteTasksRequest request;
  request.set_session(session_);
  const size_t count = std::min(finished_.size(), kCompletionsPerCall);
  for (size_t i = 0; i < count; ++i) *request.add_completions() = finished_[i];
  return Call{std::move(request), kCallDeadline};
}

SessionMachine::Step SessionMachine::Next(absl::Time now) {
  if (!refused_.ok()) return End{refused_};
  if (std::optional<Call> call = Delivery(now); call.has_value()) {
    return *std::move(call);
  }
  if (give_up_.has_value()) {
    if (!finished_.empty() && now < *give_up_) {
      return Wait{std::min(retry_at_, *give_up_)};
    }
    if (!finished_.empty()) {
      spdlog::warn("{} undelivered results are dropped", finished_.size());
      finished_.clear();
    }
    if (session_.empty()) return End{absl::OkStatus()};
    v1::CloseSessionRequest request;
    request.set_session(session_);
    return Call{std::move(request), kCloseDeadline};
  }
  if (!queue_.empty()) {
    Work work;
    work.lease = std::move(queue_.front());
    queue_.pop_front();
    work.progress = std::make_shared<std::atomic<double>>(0.0);
    work.cancelled = std::make_shared<std::atomic<bool>>(false);
    active_[work.lease.token()] = work;
    return work;
  }
  if (now < retry_at_) return Wait{retry_at_};
  if (session_.empty()) return OpenCall();
  if (drain_) return End{absl::OkStatus()};
  v1::LeaseTasksRequest request;
  request.set_session(session_);
  request.set_capacity(kCapacity);
  *request.mutable_wait() = ToProto(kPollWait);
  return Call{std::move(request), kPollWait + kCallDeadline};
}

void SessionMachine::Opened(absl::StatusOr<v1::OpenSessionResponse> answer,
                            absl::Time now) {
  if (!answer.ok()) {
    if (!Away(answer.status(), now)) refused_ = answer.status();
    return;
  }
  attempts_ = 0;
  session_ = answer->session();
  heartbeat_ = FromProto(answer->heartbeat_interval());
  // Leases of the older session are void; what is in work goes on, its result
  // is still welcome.
  queue_.clear();
}

void SessionMachine::Leased(const v1::LeaseTasksRequest& request,
                            absl::StatusOr<v1::LeaseTasksResponse> answer,
                            absl::Time now) {
  if (absl::IsAborted(answer.status())) {
    if (session_ == request.session()) session_.clear();
    return;
  }
  if (!answer.ok()) {
    if (!Away(answer.status(), now)) refused_ = answer.status();
    return;
  }
  attempts_ = 0;
  // A session that has ended meanwhile holds nothing.
  if (session_ != request.session()) return;
  drain_ = drain_ || answer->drain();
  for (v1::Lease& lease : *answer->mutable_leases()) {
    if (active_.count(lease.token()) == 0) queue_.push_back(std::move(lease));
  }
  if (queue_.empty() && !drain_) {
    retry_at_ = now + FromProto(answer->retry_after());
  }
}

void SessionMachine::Completed(const v1::CompleteTasksRequest& request,
                               absl::StatusOr<v1::CompleteTasksResponse> answer,
                               absl::Time now) {
  if (absl::IsAborted(answer.status())) {
    if (session_ == request.session()) session_.clear();
    return;
  }
  if (!answer.ok()) {
    if (Away(answer.status(), now)) return;
    if (MayHeal(answer.status())) {
      Away(absl::UnavailableError(answer.status().message()), now);
    } else {
      refused_ = answer.status();
    }
    return;
  }
  attempts_ = 0;
  for (int i = 0; i < answer->verdicts_size(); ++i) {
    if (answer->verdicts(i) == v1::CompleteTasksResponse::CONFLICT ||
        answer->verdicts(i) == v1::CompleteTasksResponse::REJECTED) {
      spdlog::warn(
          "the coordinator did not take the result of task {}: {}",
          request.completions(i).task_id(),
          v1::CompleteTasksResponse::Verdict_Name(answer->verdicts(i)));
    }
  }
  finished_.erase(finished_.begin(),
                  finished_.begin() + request.completions_size());
}

void SessionMachine::Closed() { session_.clear(); }

void SessionMachine::Finish(const Work& work,
                            absl::StatusOr<v1::TaskResult> result,
                            absl::Duration spent) {
  active_.erase(work.lease.token());
  if (absl::IsCancelled(result.status())) return;
  v1::Completion& completion = finished_.emplace_back();
  completion.set_token(work.lease.token());
  completion.set_task_id(work.lease.task().id());
  completion.set_seconds(absl::ToDoubleSeconds(spent));
  if (result.ok()) {
    *completion.mutable_result() = *std::move(result);
  } else {
    *completion.mutable_fault() = FaultOf(result.status());
  }
}

std::optional<v1::HeartbeatRequest> SessionMachine::Heartbeat() const {
  if (session_.empty()) return std::nullopt;
  v1::HeartbeatRequest request;
  request.set_session(session_);
  for (const auto& [token, work] : active_) {
    v1::HeartbeatRequest::Progress* progress = request.add_leases();
    progress->set_token(token);
    progress->set_done(*work.progress);
  }
  for (const v1::Lease& lease : queue_) {
    request.add_leases()->set_token(lease.token());
  }
  return request;
}

absl::Duration SessionMachine::heartbeat_deadline() const {
  return std::max(heartbeat_, absl::Seconds(1));
}

void SessionMachine::HeartbeatAnswered(
    const v1::HeartbeatRequest& request,
    absl::StatusOr<v1::HeartbeatResponse> answer) {
  if (session_ != request.session()) return;
  if (absl::IsAborted(answer.status())) {
    session_.clear();  // Next() opens a new one
    return;
  }
  if (!answer.ok()) return;
  drain_ = drain_ || answer->drain();
  const std::set<std::string> cancelled(answer->cancelled_tokens().begin(),
                                        answer->cancelled_tokens().end());
  for (auto& [token, work] : active_) {
    if (cancelled.count(token) > 0) *work.cancelled = true;
  }
  queue_.erase(std::remove_if(queue_.begin(), queue_.end(),
                              [&](const v1::Lease& lease) {
                                return cancelled.count(lease.token()) > 0;
                              }),
               queue_.end());
}

void SessionMachine::Leave(absl::Time give_up) {
  give_up_ = give_up;
  queue_.clear();
}

}  // namespace evopress::worker
