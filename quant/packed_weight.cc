#include "quant/packed_weight.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "quant/bit_packing.h"

namespace evopress::quant {
namespace {

// Keeps every product of sizes below far inside int64.
constexpr int64_t kMaxElements = int64_t{1} << 48;

constexpr uint16_t kHalfExponentMask = 0x7c00;

absl::Status SizeError(const char* what, size_t got, int64_t want) {
  return absl::InvalidArgumentError(
      absl::StrCat(what, " has ", got, " entries instead of ", want));
}

absl::Status ValidateDimensions(const PackedWeight& w) {
  if (w.rows < 1 || w.cols < 1 || w.rows > kMaxElements / w.cols) {
    return absl::InvalidArgumentError(
        absl::StrCat("impossible shape ", w.rows, " x ", w.cols));
  }
  const bool numbers = w.sparse() && w.bits == kFloat16Bits;
  if ((w.bits < 2 || w.bits > 8) && !numbers) {
    return absl::InvalidArgumentError(
        absl::StrCat("bits=", w.bits, " is not in 2…8",
                     w.sparse() ? ", nor 16 for float16" : ""));
  }
  if (numbers) {
    if (w.group_size == 0 && !w.symmetric) return absl::OkStatus();
    return absl::InvalidArgumentError("float16 numbers have no groups");
  }
  if (w.group_size < 1 || w.cols % w.group_size != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "group_size=", w.group_size, " does not divide cols=", w.cols));
  }
  return absl::OkStatus();
}

// True if the bits of `byte` from `used_bits` on are zero.
bool PaddingIsZero(uint8_t byte, int64_t used_bits) {
  return used_bits % 8 == 0 || (byte >> (used_bits % 8)) == 0;
}

absl::Status ValidatePadding(const PackedWeight& w) {
  if (w.sparse()) {
    if (!PaddingIsZero(w.positions.back(), w.rows * w.cols)) {
      return absl::InvalidArgumentError(
          "padding after the positions is not zero");
    }
    if (!w.codes.empty() &&
        !PaddingIsZero(w.codes.back(), KeptWeights(w) * w.bits)) {
      return absl::InvalidArgumentError("padding after the codes is not zero");
    }
  }
  const int64_t row_bytes = PackedBytes(w.cols, w.bits);
  for (int64_t r = 0; r < (w.sparse() ? 0 : w.rows); ++r) {
    if (!PaddingIsZero(w.codes[(r + 1) * row_bytes - 1], w.cols * w.bits)) {
      return absl::InvalidArgumentError(
          absl::StrCat("padding after the codes of row ", r, " is not zero"));
    }
  }
  if (!w.zeros.empty() &&
      !PaddingIsZero(w.zeros.back(), w.rows * w.groups() * w.bits)) {
    return absl::InvalidArgumentError("padding after the zeros is not zero");
  }
  return absl::OkStatus();
}

uint16_t LoadHalfBits(const uint8_t* at) {
  uint16_t half;
  std::memcpy(&half, at, sizeof(half));
  return half;
}

}  // namespace

int64_t KeptWeights(const PackedWeight& w) {
  if (!w.sparse()) return w.rows * w.cols;
  int64_t kept = 0;
  for (const uint8_t byte : w.positions) kept += std::popcount(byte);
  return kept;
}

absl::Status Validate(const PackedWeight& w) {
  if (absl::Status status = ValidateDimensions(w); !status.ok()) return status;
  const int64_t grids = w.rows * w.groups();
  const int64_t position_bytes = PackedBytes(w.rows * w.cols, 1);
  if (w.sparse() &&
      static_cast<int64_t>(w.positions.size()) != position_bytes) {
    return SizeError("positions", w.positions.size(), position_bytes);
  }
  const int64_t code_bytes = w.sparse() ? PackedBytes(KeptWeights(w), w.bits)
                                        : w.rows * PackedBytes(w.cols, w.bits);
  const int64_t zero_bytes = w.symmetric ? 0 : PackedBytes(grids, w.bits);
  if (static_cast<int64_t>(w.codes.size()) != code_bytes) {
    return SizeError("codes", w.codes.size(), code_bytes);
  }
  if (static_cast<int64_t>(w.scales.size()) != grids) {
    return SizeError("scales", w.scales.size(), grids);
  }
  if (static_cast<int64_t>(w.zeros.size()) != zero_bytes) {
    return SizeError("zeros", w.zeros.size(), zero_bytes);
  }
  if (!w.group_of_column.empty() &&
      static_cast<int64_t>(w.group_of_column.size()) != w.cols) {
    return SizeError("group_of_column", w.group_of_column.size(), w.cols);
  }
  for (size_t c = 0; c < w.group_of_column.size(); ++c) {
    if (w.group_of_column[c] >= w.groups()) {
      return absl::InvalidArgumentError(
          absl::StrCat("column ", c, " names group ", w.group_of_column[c],
                       " of ", w.groups()));
    }
  }
  for (int64_t i = 0; i < grids; ++i) {
    if ((w.scales[i] & kHalfExponentMask) == kHalfExponentMask) {
      return absl::InvalidArgumentError(
          absl::StrCat("the scale of row ", i / w.groups(), ", group ",
                       i % w.groups(), " is not finite"));
    }
  }
  for (size_t i = 0; w.bits == kFloat16Bits && i < w.codes.size(); i += 2) {
    if ((LoadHalfBits(w.codes.data() + i) & kHalfExponentMask) ==
        kHalfExponentMask) {
      return absl::InvalidArgumentError(
          absl::StrCat("kept weight ", i / 2, " is not finite"));
    }
  }
  return ValidatePadding(w);
}

int64_t StoredBits(const PackedWeight& w) {
  const int64_t grids = w.rows * w.groups();
  return static_cast<int64_t>(w.sparse()) * w.rows * w.cols +
         KeptWeights(w) * w.bits + 16 * grids +
         (w.symmetric ? 0 : grids * w.bits) +
         16 * static_cast<int64_t>(w.group_of_column.size());
}

}  // namespace evopress::quant
