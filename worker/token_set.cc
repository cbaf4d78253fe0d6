#include "worker/token_set.h"

#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "search/sha256.h"

namespace evopress::worker {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr char kMagic[] = "EVPTOKS\n";
constexpr size_t kMagicBytes = 8;
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = kMagicBytes + 4 + 4 + 8 + 4 + 4;
constexpr size_t kDigestBytes = 32;

template <typename T>
void Append(T value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
T Take(const std::string& bytes, size_t* at) {
  T value;
  std::memcpy(&value, bytes.data() + *at, sizeof(value));
  *at += sizeof(value);
  return value;
}

absl::Status Corrupt(const std::string& what) {
  return absl::DataLossError(absl::StrCat("token set: ", what));
}

}  // namespace

absl::StatusOr<TokenSet> TokenSet::Make(std::vector<int32_t> ids,
                                        int64_t length, int64_t vocab_size,
                                        const std::string& domain) {
  const int64_t count = static_cast<int64_t>(ids.size());
  if (length < 1 || length > kMaxLength || count % length != 0 ||
      count > kMaxTokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("a token set of ", count, " tokens in sequences of ",
                     length, "; the length must divide the number of tokens"));
  }
  if (vocab_size < 0 || vocab_size > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("vocab_size ", vocab_size, " of a token set"));
  }
  if (domain.size() > kMaxDomainBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a domain label of ", domain.size(), " bytes; at most ",
                     kMaxDomainBytes));
  }
  for (int64_t i = 0; i < count; ++i) {
    if (ids[i] < 0 || ids[i] >= vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("token ", i, " has id ", ids[i],
                       " outside the vocabulary of ", vocab_size));
    }
  }
  TokenSet set;
  set.ids_ = std::move(ids);
  set.length_ = length;
  set.vocab_size_ = vocab_size;
  set.domain_ = domain;
  return set;
}

std::string TokenSet::Serialize() const {
  std::string out;
  out.reserve(kHeaderBytes + domain_.size() + ids_.size() * sizeof(int32_t) +
              kDigestBytes);
  out.append(kMagic, kMagicBytes);
  Append(kVersion, &out);
  Append(static_cast<uint32_t>(length_), &out);
  Append(static_cast<uint64_t>(num_sequences()), &out);
  Append(static_cast<uint32_t>(vocab_size_), &out);
  Append(static_cast<uint32_t>(domain_.size()), &out);
  out += domain_;
  out.append(reinterpret_cast<const char*>(ids_.data()),
             ids_.size() * sizeof(int32_t));
  const search::Sha256Digest digest = search::Sha256Of(out.data(), out.size());
  out.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  return out;
}

absl::StatusOr<TokenSet> TokenSet::Parse(const std::string& bytes) {
  if (bytes.size() < kHeaderBytes + kDigestBytes) {
    return Corrupt(absl::StrCat(bytes.size(), " bytes are no whole file"));
  }
  if (bytes.compare(0, kMagicBytes, kMagic, kMagicBytes) != 0) {
    return Corrupt("wrong magic");
  }
  size_t at = kMagicBytes;
  const auto version = Take<uint32_t>(bytes, &at);
  if (version != kVersion) {
    return Corrupt(absl::StrCat("version ", version, ", not ", kVersion));
  }
  const auto length = Take<uint32_t>(bytes, &at);
  const auto num_sequences = Take<uint64_t>(bytes, &at);
  const auto vocab_size = Take<uint32_t>(bytes, &at);
  const auto domain_bytes = Take<uint32_t>(bytes, &at);
  if (length < 1 || length > kMaxLength ||
      num_sequences > static_cast<uint64_t>(kMaxTokens) / length ||
      domain_bytes > kMaxDomainBytes) {
    return Corrupt(absl::StrCat(num_sequences, " sequences of ", length,
                                " tokens, a label of ", domain_bytes,
                                " bytes: beyond the limits"));
  }
  const uint64_t count = num_sequences * length;
  const uint64_t expected =
      kHeaderBytes + domain_bytes + count * sizeof(int32_t) + kDigestBytes;
  if (bytes.size() != expected) {
    return Corrupt(
        absl::StrCat(bytes.size(), " bytes where the header says ", expected));
  }
  const size_t body = bytes.size() - kDigestBytes;
  const search::Sha256Digest digest = search::Sha256Of(bytes.data(), body);
  if (std::memcmp(digest.data(), bytes.data() + body, kDigestBytes) != 0) {
    return Corrupt("checksum does not match");
  }
  const std::string domain = bytes.substr(at, domain_bytes);
  at += domain_bytes;
  std::vector<int32_t> ids(count);
  if (count > 0) {
    std::memcpy(ids.data(), bytes.data() + at, count * sizeof(int32_t));
  }
  auto set = Make(std::move(ids), length, vocab_size, domain);
  if (!set.ok()) return Corrupt(std::string(set.status().message()));
  return set;
}

absl::StatusOr<TokenSet> TokenSet::Slice(int64_t start, int64_t count) const {
  if (start < 0 || count < 0 || start > num_sequences() ||
      count > num_sequences() - start) {
    return absl::OutOfRangeError(absl::StrCat(
        "asked for ", count, " sequences from number ", start, ", but only ",
        num_sequences(), " sequences of ", length_, " tokens are available"));
  }
  TokenSet set;
  set.ids_.assign(ids_.begin() + start * length_,
                  ids_.begin() + (start + count) * length_);
  set.length_ = length_;
  set.vocab_size_ = vocab_size_;
  set.domain_ = domain_;
  return set;
}

std::string TokenSet::ContentHash() const {
  const std::string bytes = Serialize();
  return search::ToHex(search::Sha256Of(bytes.data(), bytes.size()));
}

}  // namespace evopress::worker
