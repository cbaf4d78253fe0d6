#include "worker/evaluator_server.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/evaluator_protocol.h"
#include "worker/message_channel.h"

namespace evopress::worker {
namespace {

// Ends the process when the parent hangs up. A parent-death signal would not
// do: it fires when the thread that started us ends, not the process.
class ParentWatch {
 public:
  explicit ParentWatch(int fd) : thread_([this, fd] { Watch(fd); }) {}
  ~ParentWatch() {
    stop_ = true;
    thread_.join();
  }

 private:
  void Watch(int fd) {
    constexpr int kPollMilliseconds = 200;
    while (!stop_) {
      pollfd entry{fd, 0, 0};  // hang-ups are always reported
      if (poll(&entry, 1, kPollMilliseconds) > 0 &&
          (entry.revents & (POLLHUP | POLLERR)) != 0) {
        _exit(0);
      }
    }
  }

  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

absl::Status SendFailure(MessageChannel& channel, const absl::Status& failure) {
  return channel.Send(kFailed, EncodeFailed(failure));
}

// One request at a time; only kCancel may come while it runs.
absl::Status Answer(MessageChannel& channel, Evaluator& evaluator,
                    const Message& message) {
  bool cancelled = false;
  const Progress progress = [&](double share) {
    while (!cancelled && channel.Readable()) {
      const auto next = channel.Receive();
      cancelled = !next.ok() || next->type == kCancel;
    }
    return !cancelled && channel.Send(kProgress, EncodeProgress(share)).ok();
  };
  switch (message.type) {
    case kEvaluate: {
      const auto request = DecodeEvaluate(message.payload);
      if (!request.ok()) return SendFailure(channel, request.status());
      const auto response = evaluator.Evaluate(*request, progress);
      if (!response.ok()) return SendFailure(channel, response.status());
      return channel.Send(kEvaluated, EncodeEvaluated(*response));
    }
    case kCapture: {
      const auto request = DecodeCapture(message.payload);
      if (!request.ok()) return SendFailure(channel, request.status());
      const absl::Status status = evaluator.Capture(*request, progress);
      if (!status.ok()) return SendFailure(channel, status);
      return channel.Send(kCaptured, "");
    }
    case kProfile: {
      const auto samples = DecodeProfile(message.payload);
      if (!samples.ok()) return SendFailure(channel, samples.status());
      const auto profile = evaluator.Profile(*samples, progress);
      if (!profile.ok()) return SendFailure(channel, profile.status());
      return channel.Send(kProfiled, EncodeProfiled(*profile));
    }
    case kCancel:  // of a request that had ended already
      return absl::OkStatus();
    default:
      return SendFailure(channel,
                         absl::UnimplementedError(absl::StrCat(
                             "unknown evaluator message ", message.type)));
  }
}

}  // namespace

absl::Status ServeEvaluator(int fd, const EvaluatorFactory& open) {
  MessageChannel channel(fd);
  const ParentWatch watch(fd);
  auto first = channel.Receive();
  if (!first.ok()) return first.status();
  if (first->type != kOpen) {
    return absl::FailedPreconditionError("the first message must be kOpen");
  }
  auto request = DecodeOpen(first->payload);
  if (!request.ok()) return SendFailure(channel, request.status());
  auto evaluator = open(request->path, request->options);
  if (!evaluator.ok()) return SendFailure(channel, evaluator.status());
  absl::Status status = channel.Send(kOpened, EncodeInfo((*evaluator)->info()));
  while (status.ok()) {
    const auto message = channel.Receive();
    if (absl::IsUnavailable(message.status())) return absl::OkStatus();
    if (!message.ok()) return message.status();
    status = Answer(channel, **evaluator, *message);
  }
  return status;
}

}  // namespace evopress::worker
