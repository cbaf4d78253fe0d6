#include "worker/session.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/time/clock.h"
#include "worker/rpc_retry.h"

namespace evopress::worker {
namespace {

constexpr absl::Duration kStopCheck = absl::Milliseconds(100);

// Waits for the answer of an asynchronous call; a stop calls it off.
template <typename Response, typename Begin>
absl::StatusOr<Response> Ask(CoordinatorLink& link, const Begin& begin,
                             absl::Duration deadline,
                             const std::atomic<bool>* stop) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
  grpc::CompletionQueue events;
  auto call = begin(&context, &events);
  Response response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  while (events.AsyncNext(&tag, &ok,
                          absl::ToChronoTime(absl::Now() + kStopCheck)) ==
         grpc::CompletionQueue::TIMEOUT) {
    if (stop != nullptr && *stop) context.TryCancel();
  }
  events.Shutdown();
  while (events.Next(&tag, &ok)) {
  }
  if (stop == nullptr || !*stop) link.Heed(status);
  if (!status.ok()) return FromGrpc(status);
  return response;
}

}  // namespace

Session::Session(std::shared_ptr<CoordinatorLink> link,
                 v1::OpenSessionRequest identity, const std::atomic<bool>& stop)
    : link_(std::move(link)), stop_(stop), machine_(std::move(identity)) {
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

void Session::Perform(const SessionMachine::Call& call, bool give_way) {
  const std::atomic<bool>* stop = give_way ? &stop_ : nullptr;
  if (const auto* open = std::get_if<v1::OpenSessionRequest>(&call.request)) {
    auto answer = Ask<v1::OpenSessionResponse>(
        *link_,
        [&](auto* context, auto* events) {
          return link_->workers().AsyncOpenSession(context, *open, events);
        },
        call.deadline, stop);
    std::lock_guard<std::mutex> lock(mutex_);
    machine_.Opened(std::move(answer), SteadyNow());
    wake_.notify_all();  // the heartbeat interval may have changed
  } else if (const auto* lease =
                 std::get_if<v1::LeaseTasksRequest>(&call.request)) {
    auto answer = Ask<v1::LeaseTasksResponse>(
        *link_,
        [&](auto* context, auto* events) {
          return link_->workers().AsyncLeaseTasks(context, *lease, events);
        },
        call.deadline, stop);
    std::lock_guard<std::mutex> lock(mutex_);
    machine_.Leased(*lease, std::move(answer), SteadyNow());
  } else if (const auto* complete =
                 std::get_if<v1::CompleteTasksRequest>(&call.request)) {
    auto answer = Ask<v1::CompleteTasksResponse>(
        *link_,
        [&](auto* context, auto* events) {
          return link_->workers().AsyncCompleteTasks(context, *complete,
                                                     events);
        },
        call.deadline, nullptr);
    std::lock_guard<std::mutex> lock(mutex_);
    machine_.Completed(*complete, std::move(answer), SteadyNow());
  } else if (const auto* close =
                 std::get_if<v1::CloseSessionRequest>(&call.request)) {
    Ask<v1::CloseSessionResponse>(
        *link_,
        [&](auto* context, auto* events) {
          return link_->workers().AsyncCloseSession(context, *close, events);
        },
        call.deadline, nullptr)
        .IgnoreError();
    std::lock_guard<std::mutex> lock(mutex_);
    machine_.Closed();
  }
}

absl::StatusOr<std::unique_ptr<Session::Work>> Session::NextWork() {
  while (!stop_) {
    SessionMachine::Step step;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      step = machine_.Next(SteadyNow());
    }
    if (auto* work = std::get_if<Work>(&step)) {
      return std::make_unique<Work>(std::move(*work));
    }
    if (const auto* end = std::get_if<SessionMachine::End>(&step)) {
      if (!end->status.ok()) return end->status;
      return nullptr;
    }
    if (const auto* wait = std::get_if<SessionMachine::Wait>(&step)) {
      SleepUnlessStopped(wait->until - SteadyNow(), stop_);
    } else {
      Perform(std::get<SessionMachine::Call>(step), /*give_way=*/true);
    }
  }
  return absl::CancelledError("stopped");
}

void Session::Complete(const Work& work, absl::StatusOr<v1::TaskResult> result,
                       absl::Duration spent) {
  std::unique_lock<std::mutex> lock(mutex_);
  machine_.Finish(work, std::move(result), spent);
  while (auto call = machine_.Delivery(SteadyNow())) {
    lock.unlock();
    Perform(*call, /*give_way=*/false);
    lock.lock();
  }
}

void Session::Close(absl::Duration patience) {
  std::unique_lock<std::mutex> lock(mutex_);
  machine_.Leave(SteadyNow() + patience);
  for (;;) {
    const SessionMachine::Step step = machine_.Next(SteadyNow());
    if (std::holds_alternative<SessionMachine::End>(step)) return;
    lock.unlock();
    if (const auto* wait = std::get_if<SessionMachine::Wait>(&step)) {
      absl::SleepFor(wait->until - SteadyNow());
    } else {
      Perform(std::get<SessionMachine::Call>(step), /*give_way=*/false);
    }
    lock.lock();
  }
}

void Session::HeartbeatLoop() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!closing_) {
    wake_.wait_for(lock,
                   absl::ToChronoNanoseconds(machine_.heartbeat_interval()));
    if (closing_) return;
    const auto request = machine_.Heartbeat();
    if (!request.has_value()) continue;
    grpc::ClientContext context;
    context.set_deadline(
        absl::ToChronoTime(absl::Now() + machine_.heartbeat_deadline()));
    lock.unlock();
    v1::HeartbeatResponse response;
    const grpc::Status status =
        link_->workers().Heartbeat(&context, *request, &response);
    link_->Heed(status);
    lock.lock();
    if (status.ok()) {
      machine_.HeartbeatAnswered(*request, std::move(response));
    } else {
      machine_.HeartbeatAnswered(*request, FromGrpc(status));
    }
  }
}

}  // namespace evopress::worker
