#include "worker/wire.h"

#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"

namespace evopress::worker {

void WireWriter::U32(uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) {
    bytes_.push_back(static_cast<char>(value >> shift));
  }
}

void WireWriter::U64(uint64_t value) {
  U32(static_cast<uint32_t>(value));
  U32(static_cast<uint32_t>(value >> 32));
}

void WireWriter::F64(double value) { U64(std::bit_cast<uint64_t>(value)); }

void WireWriter::Text(const std::string& value) {
  Count(value.size());
  bytes_.append(value);
}

void WireWriter::Texts(const std::vector<std::string>& values) {
  Count(values.size());
  for (const std::string& value : values) Text(value);
}

void WireWriter::Ints(const std::vector<int32_t>& values) {
  Count(values.size());
  for (const int32_t value : values) U32(static_cast<uint32_t>(value));
}

bool WireReader::Need(size_t bytes) {
  if (!failed_ && bytes <= bytes_.size() - at_) return true;
  failed_ = true;
  return false;
}

uint32_t WireReader::U32() {
  if (!Need(4)) return 0;
  uint32_t value = 0;
  for (int shift = 0; shift < 32; shift += 8) {
    value |= uint32_t{static_cast<uint8_t>(bytes_[at_++])} << shift;
  }
  return value;
}

uint64_t WireReader::U64() {
  const uint64_t low = U32();
  return low | uint64_t{U32()} << 32;
}

double WireReader::F64() { return std::bit_cast<double>(U64()); }

size_t WireReader::Count(size_t item_bytes) {
  const size_t count = U32();
  if (failed_ || count > (bytes_.size() - at_) / item_bytes) {
    failed_ = true;
    return 0;
  }
  return count;
}

std::string WireReader::Text() {
  const size_t size = Count(1);
  std::string value(bytes_.substr(at_, size));
  at_ += size;
  return value;
}

std::vector<std::string> WireReader::Texts() {
  std::vector<std::string> values(Count(4));
  for (std::string& value : values) value = Text();
  return values;
}

std::vector<int32_t> WireReader::Ints() {
  std::vector<int32_t> values(Count(4));
  for (int32_t& value : values) value = static_cast<int32_t>(U32());
  return values;
}

absl::Status WireReader::Finish() {
  if (failed_) {
    return absl::DataLossError(absl::StrCat(
        "evaluator message of ", bytes_.size(), " bytes ends at byte ", at_));
  }
  if (at_ != bytes_.size()) {
    return absl::DataLossError(absl::StrCat(
        "evaluator message has ", bytes_.size() - at_, " bytes too many"));
  }
  return absl::OkStatus();
}

}  // namespace evopress::worker
