#include "quant/packed_weight.h"

#include <immintrin.h>

#include <algorithm>

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
  if (w.bits < 2 || w.bits > 8) {
    return absl::InvalidArgumentError(
        absl::StrCat("bits=", w.bits, " is not in 2…8"));
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
  const int64_t row_bytes = PackedBytes(w.cols, w.bits);
  for (int64_t r = 0; r < w.rows; ++r) {
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

}  // namespace

absl::Status Validate(const PackedWeight& w) {
  if (absl::Status status = ValidateDimensions(w); !status.ok()) return status;
  const int64_t grids = w.rows * w.groups();
  const int64_t code_bytes = w.rows * PackedBytes(w.cols, w.bits);
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
  return ValidatePadding(w);
}

absl::Status Unpack(const PackedWeight& w, absl::Span<float> out) {
  if (absl::Status status = Validate(w); !status.ok()) return status;
  if (static_cast<int64_t>(out.size()) != w.rows * w.cols) {
    return SizeError("out", out.size(), w.rows * w.cols);
  }
  const int64_t groups = w.groups();
  const int64_t row_bytes = PackedBytes(w.cols, w.bits);
  std::vector<uint8_t> codes(w.cols);
  std::vector<uint8_t> zeros(w.rows * groups,
                             static_cast<uint8_t>(1 << (w.bits - 1)));
  if (!w.symmetric) {
    UnpackBits(w.zeros.data(), w.rows * groups, w.bits, zeros.data());
  }
  for (int64_t r = 0; r < w.rows; ++r) {
    UnpackBits(w.codes.data() + r * row_bytes, w.cols, w.bits, codes.data());
    float* row = out.data() + r * w.cols;
    if (!w.group_of_column.empty()) {
      for (int64_t c = 0; c < w.cols; ++c) {
        const int64_t grid = r * groups + w.group_of_column[c];
        row[c] = _cvtsh_ss(w.scales[grid]) *
                 static_cast<float>(codes[c] - zeros[grid]);
      }
      continue;
    }
    for (int64_t g = 0; g < groups; ++g) {
      const float scale = _cvtsh_ss(w.scales[r * groups + g]);
      const int zero = zeros[r * groups + g];
      for (int64_t c = g * w.group_size; c < (g + 1) * w.group_size; ++c) {
        row[c] = scale * static_cast<float>(codes[c] - zero);
      }
    }
  }
  return absl::OkStatus();
}

int64_t StoredBits(const PackedWeight& w) {
  const int64_t grids = w.rows * w.groups();
  return w.rows * w.cols * w.bits + 16 * grids +
         (w.symmetric ? 0 : grids * w.bits) +
         16 * static_cast<int64_t>(w.group_of_column.size());
}

}  // namespace evopress::quant
