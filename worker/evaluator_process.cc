// The parent's side of the evaluator protocol.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "worker/evaluator.h"
#include "worker/evaluator_protocol.h"
#include "worker/message_channel.h"

namespace evopress::worker {
namespace {

constexpr size_t kStderrTail = 4096;
constexpr auto kExitGrace = std::chrono::seconds(2);

absl::Status SystemError(const std::string& what, int error) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(error)));
}

// Starts `binary` with standard input empty and the given descriptors.
absl::StatusOr<pid_t> Spawn(const std::string& binary,
                            std::vector<std::string> arguments,
                            int standard_out, int standard_error, int socket) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                   O_RDONLY, 0);
  if (standard_out >= 0) {
    posix_spawn_file_actions_adddup2(&actions, standard_out, STDOUT_FILENO);
  }
  posix_spawn_file_actions_adddup2(&actions, standard_error, STDERR_FILENO);
  int first_closed = kEvaluatorFd;
  if (socket >= 0) {
    posix_spawn_file_actions_adddup2(&actions, socket, kEvaluatorFd);
    ++first_closed;
  }
  posix_spawn_file_actions_addclosefrom_np(&actions, first_closed);
  arguments.insert(arguments.begin(), binary);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, binary.c_str(), &actions, nullptr,
                                argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return SystemError(absl::StrCat("cannot start evaluator '", binary, "'"),
                       error);
  }
  return pid;
}

std::string DescribeExit(int status) {
  if (WIFSIGNALED(status)) {
    return absl::StrCat("was killed by signal ", WTERMSIG(status), " (",
                        strsignal(WTERMSIG(status)), ")");
  }
  return absl::StrCat("exited with code ", WEXITSTATUS(status));
}

// A running child and its pipes.
class Child {
 public:
  static absl::StatusOr<std::unique_ptr<Child>> Start(
      const std::string& binary) {
    int sockets[2];
    int pipes[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
      return SystemError("socketpair", errno);
    }
    if (pipe2(pipes, O_CLOEXEC) != 0) {
      const int error = errno;
      close(sockets[0]);
      close(sockets[1]);
      return SystemError("pipe", error);
    }
    const auto pid = Spawn(binary, {"--serve"}, -1, pipes[1], sockets[1]);
    close(sockets[1]);
    close(pipes[1]);
    if (!pid.ok()) {
      close(sockets[0]);
      close(pipes[0]);
      return pid.status();
    }
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    return std::unique_ptr<Child>(
        new Child(binary, *pid, sockets[0], pipes[0]));
  }

  // Hanging up makes the child exit by itself; a stuck one is killed.
  ~Child() {
    channel_.reset();
    if (pid_ > 0) {
      const auto deadline = std::chrono::steady_clock::now() + kExitGrace;
      int status = 0;
      while (waitpid(pid_, &status, WNOHANG) == 0) {
        if (std::chrono::steady_clock::now() > deadline) {
          kill(pid_, SIGKILL);
          waitpid(pid_, &status, 0);
          break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    }
    close(stderr_);
  }

  absl::Status Send(uint32_t type, const std::string& payload) {
    absl::Status status = channel_->Send(type, payload);
    return absl::IsUnavailable(status) ? Postmortem() : status;
  }

  // Waits for a message while keeping the child's standard error drained.
  absl::StatusOr<Message> Receive() {
    while (true) {
      std::array<pollfd, 2> entries{
          pollfd{channel_->fd(), POLLIN, 0},
          pollfd{stderr_open_ ? stderr_ : -1, POLLIN, 0}};
      if (poll(entries.data(), entries.size(), -1) < 0) {
        if (errno == EINTR) continue;
        return SystemError("poll", errno);
      }
      if (entries[1].revents != 0) DrainStderr();
      if (entries[0].revents == 0) continue;
      auto message = channel_->Receive();
      if (absl::IsUnavailable(message.status())) return Postmortem();
      return message;
    }
  }

 private:
  Child(const std::string& binary, pid_t pid, int socket, int standard_error)
      : binary_(binary),
        pid_(pid),
        channel_(std::make_unique<MessageChannel>(socket)),
        stderr_(standard_error) {}

  void DrainStderr() {
    char bytes[4096];
    ssize_t n;
    while ((n = read(stderr_, bytes, sizeof(bytes))) > 0) {
      tail_.append(bytes, n);
      if (tail_.size() > 2 * kStderrTail) {
        tail_.erase(0, tail_.size() - kStderrTail);
      }
    }
    if (n == 0) stderr_open_ = false;
  }

  // Why the child is gone.
  absl::Status Postmortem() {
    int status = 0;
    if (pid_ > 0) {
      // It closed its socket: give it a moment to end, then end it.
      kill(pid_, 0);
      const auto deadline = std::chrono::steady_clock::now() + kExitGrace;
      pid_t done = 0;
      while ((done = waitpid(pid_, &status, WNOHANG)) == 0 &&
             std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
      if (done == 0) {
        kill(pid_, SIGKILL);
        waitpid(pid_, &status, 0);
      }
      pid_ = -1;
      exit_ = DescribeExit(status);
      out_of_memory_ =
          done != 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }
    DrainStderr();
    std::string message = absl::StrCat("evaluator '", binary_, "' ", exit_);
    const std::string tail(absl::StripAsciiWhitespace(tail_));
    if (!tail.empty()) absl::StrAppend(&message, "; it last said: ", tail);
    if (out_of_memory_) {
      return absl::ResourceExhaustedError(absl::StrCat(
          message,
          "; the system does that when memory is out: give it more, "
          "or lower --memory"));
    }
    return absl::UnavailableError(message);
  }

  const std::string binary_;
  pid_t pid_;
  std::unique_ptr<MessageChannel> channel_;
  int stderr_;
  bool stderr_open_ = true;
  std::string tail_;
  std::string exit_;
  bool out_of_memory_ = false;  // killed, and not by us
};

class EvaluatorProcess : public Evaluator {
 public:
  EvaluatorProcess(const std::string& binary, const OpenRequest& open)
      : binary_(binary), open_(open) {}

  const EvaluatorInfo& info() const override { return info_; }

  // Starts a child, unless one runs.
  absl::Status EnsureRunning() {
    if (child_ != nullptr) return absl::OkStatus();
    auto child = Child::Start(binary_);
    if (!child.ok()) return child.status();
    child_ = *std::move(child);
    auto reply = Exchange(kOpen, EncodeOpen(open_), kOpened, nullptr);
    if (!reply.ok()) {
      child_.reset();
      return reply.status();
    }
    auto info = DecodeInfo(*reply);
    if (!info.ok()) {
      child_.reset();
      return info.status();
    }
    if (!info_.numeric_class.empty() &&
        info->numeric_class != info_.numeric_class) {
      child_.reset();
      return absl::FailedPreconditionError(absl::StrCat(
          "evaluator '", binary_, "' came back with numeric class '",
          info->numeric_class, "' instead of '", info_.numeric_class, "'"));
    }
    info_ = *std::move(info);
    return absl::OkStatus();
  }

  absl::StatusOr<EvaluateResponse> Evaluate(const EvaluateRequest& request,
                                            const Progress& progress) override {
    if (absl::Status s = EnsureRunning(); !s.ok()) return s;
    auto reply =
        Exchange(kEvaluate, EncodeEvaluate(request), kEvaluated, progress);
    if (!reply.ok()) return reply.status();
    auto response = DecodeEvaluated(*reply);
    if (!response.ok()) return response.status();
    bool complete = response->results.size() == request.assignments.size();
    for (const auto& row : response->results) {
      complete = complete && row.size() == request.samples.size();
    }
    if (!complete) return absl::DataLossError("evaluator left results out");
    return response;
  }

  absl::Status Capture(const CaptureRequest& request,
                       const Progress& progress) override {
    if (absl::Status s = EnsureRunning(); !s.ok()) return s;
    return Exchange(kCapture, EncodeCapture(request), kCaptured, progress)
        .status();
  }

  absl::StatusOr<ModelProfile> Profile(
      const std::vector<std::vector<int32_t>>& samples,
      const Progress& progress) override {
    if (absl::Status s = EnsureRunning(); !s.ok()) return s;
    auto reply =
        Exchange(kProfile, EncodeProfile(samples), kProfiled, progress);
    if (!reply.ok()) return reply.status();
    return DecodeProfiled(*reply);
  }

 private:
  // Sends a request and waits for its answer. A child that broke off or broke
  // the protocol is done with.
  absl::StatusOr<std::string> Exchange(uint32_t type,
                                       const std::string& payload,
                                       uint32_t answer,
                                       const Progress& progress) {
    if (payload.size() > kMaxMessageBytes) {
      // Refused before anything is sent: the child is as good as before.
      return child_->Send(type, payload);
    }
    absl::Status status = child_->Send(type, payload);
    bool cancelled = false;
    while (status.ok()) {
      auto message = child_->Receive();
      if (!message.ok()) {
        status = message.status();
      } else if (message->type == answer) {
        return std::move(message->payload);
      } else if (message->type == kFailed) {
        return DecodeFailed(message->payload);
      } else if (message->type != kProgress) {
        status = absl::DataLossError(
            absl::StrCat("evaluator answered with message ", message->type));
      } else {
        const auto share = DecodeProgress(message->payload);
        status = share.status();
        if (status.ok() && progress && !cancelled && !progress(*share)) {
          cancelled = true;
          status = child_->Send(kCancel, "");
        }
      }
    }
    child_.reset();
    return status;
  }

  const std::string binary_;
  const OpenRequest open_;
  EvaluatorInfo info_;
  std::unique_ptr<Child> child_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Evaluator>> OpenEvaluatorProcess(
    const std::string& binary, const std::string& path,
    const EvaluatorOptions& options) {
  auto process =
      std::make_unique<EvaluatorProcess>(binary, OpenRequest{path, options});
  if (absl::Status s = process->EnsureRunning(); !s.ok()) return s;
  return process;
}

absl::StatusOr<std::string> EvaluatorNumericClass(const std::string& binary) {
  int pipes[2];
  if (pipe2(pipes, O_CLOEXEC) != 0) return SystemError("pipe", errno);
  const auto pid = Spawn(binary, {"--numeric-class"}, pipes[1], pipes[1], -1);
  close(pipes[1]);
  std::string said;
  if (pid.ok()) {
    char bytes[1024];
    ssize_t n;
    while (said.size() < kStderrTail &&
           ((n = read(pipes[0], bytes, sizeof(bytes))) > 0 ||
            (n < 0 && errno == EINTR))) {
      if (n > 0) said.append(bytes, n);
    }
  }
  close(pipes[0]);
  if (!pid.ok()) return pid.status();
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  said = std::string(absl::StripAsciiWhitespace(said));
  if (status != 0 || said.empty()) {
    return absl::UnavailableError(absl::StrCat(
        "evaluator '", binary, "' ", DescribeExit(status), ": ", said));
  }
  return said;
}

}  // namespace evopress::worker
