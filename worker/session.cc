#include "worker/session.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/time/clock.h"
#include "worker/rpc_retry.h"

namespace evopress::worker {
namespace {

constexpr int kCapacity = 2;  // one in work, one prefetched
constexpr absl::Duration kPollWait = absl::Seconds(10);
constexpr absl::Duration kCallDeadline = absl::Seconds(20);
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

}  // namespace

Session::Session(std::unique_ptr<v1::Workers::StubInterface> stub,
                 v1::OpenSessionRequest identity, const std::atomic<bool>& stop)
    : stub_(std::move(stub)), identity_(std::move(identity)), stop_(stop) {
  heartbeats_ = std::thread([this] { HeartbeatLoop(); });
}

Session::~Session() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  heartbeats_.join();
}

absl::Status Session::EnsureOpen() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!session_.empty()) return absl::OkStatus();
  }
  v1::OpenSessionResponse response;
  const absl::Status status = CallWithRetry(
      [&](grpc::ClientContext* context) {
        return stub_->OpenSession(context, identity_, &response);
      },
      kCallDeadline, absl::InfiniteDuration(), stop_);
  if (!status.ok()) return status;
  std::lock_guard<std::mutex> lock(mutex_);
  session_ = response.session();
  heartbeat_ = FromProto(response.heartbeat_interval());
  // Leases of the older session are void; what is in work goes on, its result
  // is still welcome.
  queue_.clear();
  wake_.notify_all();  // the heartbeat interval may have changed
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Session::Work>> Session::NextWork() {
  while (!stop_) {
    if (absl::Status s = EnsureOpen(); !s.ok()) return s;
    Deliver(absl::ZeroDuration()).IgnoreError();
    v1::LeaseTasksRequest request;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!queue_.empty()) {
        auto work = std::make_unique<Work>();
        work->lease = std::move(queue_.front());
        queue_.pop_front();
        work->progress = std::make_shared<std::atomic<double>>(0.0);
        work->cancelled = std::make_shared<std::atomic<bool>>(false);
        active_[work->lease.token()] = *work;
        return work;
      }
      if (drain_) return nullptr;
      request.set_session(session_);
    }
    request.set_capacity(kCapacity);
    *request.mutable_wait() = ToProto(kPollWait);
    v1::LeaseTasksResponse response;
    grpc::ClientContext context;
    context.set_deadline(
        absl::ToChronoTime(absl::Now() + kPollWait + kCallDeadline));
    // Polled asynchronously, so that a stop does not wait for the answer.
    grpc::CompletionQueue events;
    auto call = stub_->AsyncLeaseTasks(&context, request, &events);
    grpc::Status status;
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    while (events.AsyncNext(
               &tag, &ok,
               absl::ToChronoTime(absl::Now() + absl::Milliseconds(100))) ==
           grpc::CompletionQueue::TIMEOUT) {
      if (stop_) context.TryCancel();
    }
    events.Shutdown();
    while (events.Next(&tag, &ok)) {
    }
    if (stop_) break;
    if (status.error_code() == grpc::StatusCode::ABORTED) {
      std::lock_guard<std::mutex> lock(mutex_);
      session_.clear();
      continue;
    }
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE ||
        status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
      SleepUnlessStopped(RetryPause(3, 0.5), stop_);
      continue;
    }
    if (!status.ok()) return FromGrpc(status);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      drain_ = drain_ || response.drain();
      for (v1::Lease& lease : *response.mutable_leases()) {
        if (active_.count(lease.token()) == 0) queue_.push_back(lease);
      }
      if (!queue_.empty() || drain_) continue;
    }
    SleepUnlessStopped(FromProto(response.retry_after()), stop_);
  }
  return absl::CancelledError("stopped");
}

void Session::Complete(const Work& work, absl::StatusOr<v1::TaskResult> result,
                       absl::Duration spent) {
  v1::Completion completion;
  completion.set_token(work.lease.token());
  completion.set_task_id(work.lease.task().id());
  completion.set_seconds(absl::ToDoubleSeconds(spent));
  if (result.ok()) {
    *completion.mutable_result() = *std::move(result);
  } else {
    *completion.mutable_fault() = FaultOf(result.status());
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    active_.erase(work.lease.token());
    // A task that was called off, here or there, has no outcome to report.
    if (absl::IsCancelled(result.status())) return;
    finished_.push_back(std::move(completion));
  }
  Deliver(absl::ZeroDuration()).IgnoreError();
}

absl::Status Session::Deliver(absl::Duration patience) {
  for (;;) {
    v1::CompleteTasksRequest request;
    size_t count = 0;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (finished_.empty()) return absl::OkStatus();
      request.set_session(session_);
      count = std::min(finished_.size(), kCompletionsPerCall);
      for (size_t i = 0; i < count; ++i) {
        *request.add_completions() = finished_[i];
      }
    }
    v1::CompleteTasksResponse response;
    const std::atomic<bool> never = false;
    const absl::Status status = CallWithRetry(
        [&](grpc::ClientContext* context) {
          return stub_->CompleteTasks(context, request, &response);
        },
        kCallDeadline, patience, never);
    if (absl::IsAborted(status)) {
      {
        std::lock_guard<std::mutex> lock(mutex_);
        session_.clear();
      }
      if (absl::Status s = EnsureOpen(); !s.ok()) return s;
      continue;
    }
    if (!status.ok()) return status;  // kept, and sent again later
    for (int i = 0; i < response.verdicts_size(); ++i) {
      if (response.verdicts(i) == v1::CompleteTasksResponse::CONFLICT ||
          response.verdicts(i) == v1::CompleteTasksResponse::REJECTED) {
        spdlog::warn(
            "the coordinator did not take the result of task {}: {}",
            request.completions(i).task_id(),
            v1::CompleteTasksResponse::Verdict_Name(response.verdicts(i)));
      }
    }
    std::lock_guard<std::mutex> lock(mutex_);
    finished_.erase(finished_.begin(), finished_.begin() + count);
  }
}

void Session::Close(absl::Duration patience) {
  if (absl::Status s = Deliver(patience); !s.ok()) {
    spdlog::warn("undelivered results are dropped: {}",
                 std::string(s.message()));
  }
  v1::CloseSessionRequest request;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (session_.empty()) return;
    request.set_session(session_);
    session_.clear();
  }
  v1::CloseSessionResponse response;
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(2)));
  stub_->CloseSession(&context, request, &response);
}

void Session::HeartbeatLoop() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!closing_) {
    wake_.wait_for(lock, absl::ToChronoNanoseconds(heartbeat_));
    if (closing_) return;
    if (session_.empty()) continue;
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
    const absl::Duration deadline = std::max(heartbeat_, absl::Seconds(1));
    lock.unlock();
    v1::HeartbeatResponse response;
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
    const grpc::Status status = stub_->Heartbeat(&context, request, &response);
    lock.lock();
    if (status.error_code() == grpc::StatusCode::ABORTED &&
        session_ == request.session()) {
      session_.clear();  // NextWork opens a new one
    }
    if (!status.ok()) continue;
    drain_ = drain_ || response.drain();
    const std::set<std::string> cancelled(response.cancelled_tokens().begin(),
                                          response.cancelled_tokens().end());
    for (auto& [token, work] : active_) {
      if (cancelled.count(token) > 0) *work.cancelled = true;
    }
    queue_.erase(std::remove_if(queue_.begin(), queue_.end(),
                                [&](const v1::Lease& lease) {
                                  return cancelled.count(lease.token()) > 0;
                                }),
                 queue_.end());
  }
}

}  // namespace evopress::worker
