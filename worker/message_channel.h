// worker/message_channel.h
// Messages over a stream socket: u32 type, u32 length, then the payload.
#ifndef EVOPRESS_WORKER_MESSAGE_CHANNEL_H_
#define EVOPRESS_WORKER_MESSAGE_CHANNEL_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace evopress::worker {

// A longer message is refused by both sides.
inline constexpr uint32_t kMaxMessageBytes = 1u << 30;

struct Message {
  uint32_t type = 0;
  std::string payload;
};

// Owns the descriptor. One thread may send while another receives.
class MessageChannel {
 public:
  explicit MessageChannel(int fd) : fd_(fd) {}
  ~MessageChannel();
  MessageChannel(const MessageChannel&) = delete;
  MessageChannel& operator=(const MessageChannel&) = delete;

  int fd() const { return fd_; }

  // Unavailable when the peer is gone; ResourceExhausted for a payload beyond
  // kMaxMessageBytes.
  absl::Status Send(uint32_t type, const std::string& payload);

  // Waits for a whole message. Unavailable when the peer is gone; DataLoss for
  // a length beyond kMaxMessageBytes.
  absl::StatusOr<Message> Receive();

  // True if Receive() would find a message or the end of the stream.
  bool Readable() const;

 private:
  int fd_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_MESSAGE_CHANNEL_H_
