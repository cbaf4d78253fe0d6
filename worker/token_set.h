// Fixed-length token sequences, as the searches and statistics use them.
//
// The file format, all little-endian:
//   8 bytes   magic "EVPTOKS\n"
//   uint32    version, 1
//   uint32    length: tokens a sequence
//   uint64    num_sequences
//   uint32    vocab_size: every id lies in [0, vocab_size)
//   uint32    bytes of the domain label
//   domain    UTF-8
//   int32     num_sequences * length ids, sequence after sequence
//   32 bytes  SHA-256 of everything before it

#ifndef EVOPRESS_WORKER_TOKEN_SET_H_
#define EVOPRESS_WORKER_TOKEN_SET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace evopress::worker {

// Immutable and thread-safe once made.
class TokenSet {
 public:
  static constexpr int64_t kMaxLength = int64_t{1} << 24;
  static constexpr int64_t kMaxTokens = int64_t{1} << 32;
  static constexpr size_t kMaxDomainBytes = 256;

  // `ids` holds the sequences one after another. InvalidArgument unless
  // length >= 1 divides the number of ids, every id is below vocab_size, and
  // the limits above hold.
  static absl::StatusOr<TokenSet> Make(std::vector<int32_t> ids, int64_t length,
                                       int64_t vocab_size,
                                       const std::string& domain);

  // The inverse of Serialize(). DataLoss, naming what is wrong, for bytes that
  // are not exactly one valid file.
  static absl::StatusOr<TokenSet> Parse(const std::string& bytes);
  std::string Serialize() const;

  int64_t length() const { return length_; }
  int64_t num_sequences() const {
    return static_cast<int64_t>(ids_.size()) / length_;
  }
  int64_t vocab_size() const { return vocab_size_; }
  const std::string& domain() const { return domain_; }

  // REQUIRES: 0 <= index < num_sequences().
  absl::Span<const int32_t> sequence(int64_t index) const {
    return absl::MakeConstSpan(ids_).subspan(index * length_, length_);
  }

  // Sequences [start, start + count). OutOfRange, with the number there is, if
  // there are fewer.
  absl::StatusOr<TokenSet> Slice(int64_t start, int64_t count) const;

  // SHA-256 of the serialized set, 64 hex digits: its name.
  std::string ContentHash() const;

  bool operator==(const TokenSet&) const = default;

 private:
  TokenSet() = default;

  std::vector<int32_t> ids_;
  int64_t length_ = 1;
  int64_t vocab_size_ = 0;
  std::string domain_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_TOKEN_SET_H_
