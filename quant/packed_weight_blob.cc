// The level blob, little-endian:
//   magic "EVLB", version u16, bits u8, symmetric u8,
//   rows u64, cols u64, group_size u64,
//   bytes of: codes u64, scales u64, zeros u64, group_of_column u64,
//   and in version 2, which sparse weights have, of: positions u64,
//   these sections back to back, SHA-256 over everything before it.

#include <cstring>

#include "absl/strings/str_cat.h"
#include "quant/mapped_file.h"
#include "quant/packed_weight.h"
#include "search/sha256.h"

namespace evopress::quant {
namespace {

constexpr char kMagic[4] = {'E', 'V', 'L', 'B'};
constexpr uint16_t kDenseVersion = 1;
constexpr uint16_t kSparseVersion = 2;
constexpr int kDimensions = 3;
constexpr size_t kDigestBytes = sizeof(search::Sha256Digest);
constexpr uint64_t kMaxGroupSize = uint64_t{1} << 31;

template <typename T>
void AppendNumber(T value, std::string* out) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out->append(bytes, sizeof(T));
}

template <typename T>
void AppendSection(const std::vector<T>& section, std::string* out) {
  out->append(reinterpret_cast<const char*>(section.data()),
              section.size() * sizeof(T));
}

template <typename T>
T ReadNumber(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

template <typename T>
void ReadSection(const uint8_t* at, uint64_t bytes, std::vector<T>* out) {
  out->resize(bytes / sizeof(T));
  if (bytes > 0) std::memcpy(out->data(), at, bytes);
}

// Sizes after the first eight bytes: dimensions and sections.
int SizesOf(uint16_t version) {
  return kDimensions + (version == kSparseVersion ? 5 : 4);
}

size_t HeaderBytes(uint16_t version) { return 8 + 8 * SizesOf(version); }

absl::Status Damaged(const std::string& what) {
  return absl::DataLossError(absl::StrCat("level blob: ", what));
}

}  // namespace

std::string SerializeBlob(const PackedWeight& weight) {
  const uint16_t version = weight.sparse() ? kSparseVersion : kDenseVersion;
  std::string out;
  out.reserve(HeaderBytes(version) + weight.codes.size() +
              2 * weight.scales.size() + weight.zeros.size() +
              2 * weight.group_of_column.size() + weight.positions.size() +
              kDigestBytes);
  out.append(kMagic, sizeof(kMagic));
  AppendNumber<uint16_t>(version, &out);
  AppendNumber<uint8_t>(static_cast<uint8_t>(weight.bits), &out);
  AppendNumber<uint8_t>(weight.symmetric ? 1 : 0, &out);
  AppendNumber<uint64_t>(static_cast<uint64_t>(weight.rows), &out);
  AppendNumber<uint64_t>(static_cast<uint64_t>(weight.cols), &out);
  AppendNumber<uint64_t>(static_cast<uint64_t>(weight.group_size), &out);
  AppendNumber<uint64_t>(weight.codes.size(), &out);
  AppendNumber<uint64_t>(2 * weight.scales.size(), &out);
  AppendNumber<uint64_t>(weight.zeros.size(), &out);
  AppendNumber<uint64_t>(2 * weight.group_of_column.size(), &out);
  if (weight.sparse()) AppendNumber<uint64_t>(weight.positions.size(), &out);
  AppendSection(weight.codes, &out);
  AppendSection(weight.scales, &out);
  AppendSection(weight.zeros, &out);
  AppendSection(weight.group_of_column, &out);
  AppendSection(weight.positions, &out);
  const search::Sha256Digest digest = search::Sha256Of(out.data(), out.size());
  out.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  return out;
}

absl::StatusOr<PackedWeight> ParseBlob(absl::Span<const uint8_t> bytes) {
  if (bytes.size() < HeaderBytes(kDenseVersion) + kDigestBytes) {
    return Damaged(absl::StrCat("only ", bytes.size(), " bytes"));
  }
  const uint8_t* data = bytes.data();
  if (std::memcmp(data, kMagic, sizeof(kMagic)) != 0) {
    return Damaged("wrong magic at byte 0");
  }
  const uint16_t version = ReadNumber<uint16_t>(data + 4);
  if (version != kDenseVersion && version != kSparseVersion) {
    return Damaged(absl::StrCat("unknown version ", version, " at byte 4"));
  }
  if (bytes.size() < HeaderBytes(version) + kDigestBytes) {
    return Damaged(absl::StrCat("only ", bytes.size(), " bytes"));
  }
  const size_t body = bytes.size() - kDigestBytes;
  const search::Sha256Digest digest = search::Sha256Of(data, body);
  if (std::memcmp(digest.data(), data + body, kDigestBytes) != 0) {
    return Damaged(absl::StrCat("the checksum at byte ", body,
                                " does not match the content"));
  }
  if (data[7] > 1) return Damaged("bad symmetric flag at byte 7");
  uint64_t sizes[8] = {};
  uint64_t left = body - HeaderBytes(version);
  for (int i = 0; i < SizesOf(version); ++i) {
    sizes[i] = ReadNumber<uint64_t>(data + 8 + 8 * i);
    if (i < kDimensions) continue;
    if (sizes[i] > left) {
      return Damaged(absl::StrCat("section ", i - kDimensions, " of ", sizes[i],
                                  " bytes runs past the end"));
    }
    left -= sizes[i];
  }
  if (left != 0) return Damaged(absl::StrCat(left, " bytes too many"));
  if (sizes[4] % 2 != 0 || sizes[6] % 2 != 0) {
    return Damaged("a section of 16-bit values has an odd size");
  }
  if (sizes[0] > INT64_MAX || sizes[1] > INT64_MAX ||
      sizes[2] >= kMaxGroupSize) {
    return Damaged("impossible dimensions at byte 8");
  }
  if (version == kSparseVersion && sizes[7] == 0) {
    return Damaged("a sparse weight without positions");
  }
  PackedWeight weight;
  weight.bits = data[6];
  weight.symmetric = data[7] == 1;
  weight.rows = static_cast<int64_t>(sizes[0]);
  weight.cols = static_cast<int64_t>(sizes[1]);
  weight.group_size = static_cast<int>(sizes[2]);
  const uint8_t* at = data + HeaderBytes(version);
  ReadSection(at, sizes[3], &weight.codes);
  ReadSection(at += sizes[3], sizes[4], &weight.scales);
  ReadSection(at += sizes[4], sizes[5], &weight.zeros);
  ReadSection(at += sizes[5], sizes[6], &weight.group_of_column);
  ReadSection(at += sizes[6], sizes[7], &weight.positions);
  const absl::Status valid = Validate(weight);
  if (!valid.ok()) return Damaged(std::string(valid.message()));
  return weight;
}

absl::StatusOr<PackedWeight> ReadBlob(const std::string& path) {
  const absl::StatusOr<std::unique_ptr<MappedFile>> file =
      MappedFile::Open(path);
  if (!file.ok()) return file.status();
  absl::StatusOr<PackedWeight> weight = ParseBlob((*file)->bytes());
  if (weight.ok()) return weight;
  return absl::Status(weight.status().code(),
                      absl::StrCat(path, ": ", weight.status().message()));
}

}  // namespace evopress::quant
