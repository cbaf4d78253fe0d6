#include "worker/message_channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace evopress::worker {
namespace {

constexpr size_t kReadStep = 1 << 20;  // grow with what really arrives

absl::Status Gone(const char* what) {
  return absl::UnavailableError(
      absl::StrCat("evaluator channel: ", what, ": ", std::strerror(errno)));
}

absl::Status SendAll(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Gone("cannot send");
    data += n;
    size -= n;
  }
  return absl::OkStatus();
}

absl::Status ReceiveAll(int fd, char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = recv(fd, data, size, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Gone("cannot receive");
    if (n == 0) {
      return absl::UnavailableError("evaluator channel: the peer has gone");
    }
    data += n;
    size -= n;
  }
  return absl::OkStatus();
}

void PutU32(uint32_t value, char* out) {
  for (int i = 0; i < 4; ++i) out[i] = static_cast<char>(value >> (8 * i));
}

uint32_t GetU32(const char* in) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    value |= uint32_t{static_cast<uint8_t>(in[i])} << (8 * i);
  }
  return value;
}

}  // namespace

MessageChannel::~MessageChannel() {
  if (fd_ >= 0) close(fd_);
}

absl::Status MessageChannel::Send(uint32_t type, const std::string& payload) {
  if (payload.size() > kMaxMessageBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "evaluator message of ", payload.size(), " bytes exceeds the limit of ",
        kMaxMessageBytes, "; send fewer assignments or samples at a time"));
  }
  char header[8];
  PutU32(type, header);
  PutU32(static_cast<uint32_t>(payload.size()), header + 4);
  absl::Status status = SendAll(fd_, header, sizeof(header));
  if (!status.ok()) return status;
  return SendAll(fd_, payload.data(), payload.size());
}

absl::StatusOr<Message> MessageChannel::Receive() {
  char header[8];
  absl::Status status = ReceiveAll(fd_, header, sizeof(header));
  if (!status.ok()) return status;
  Message message;
  message.type = GetU32(header);
  const uint32_t size = GetU32(header + 4);
  if (size > kMaxMessageBytes) {
    return absl::DataLossError(absl::StrCat("evaluator message of ", size,
                                            " bytes exceeds the limit of ",
                                            kMaxMessageBytes));
  }
  while (message.payload.size() < size) {
    const size_t have = message.payload.size();
    message.payload.resize(std::min<size_t>(size, have + kReadStep));
    status = ReceiveAll(fd_, message.payload.data() + have,
                        message.payload.size() - have);
    if (!status.ok()) return status;
  }
  return message;
}

bool MessageChannel::Readable() const {
  pollfd entry{fd_, POLLIN, 0};
  return poll(&entry, 1, 0) > 0;
}

}  // namespace evopress::worker
