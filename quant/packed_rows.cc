#include "quant/packed_rows.h"

#include <immintrin.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "quant/bit_packing.h"

namespace evopress::quant {
namespace {

uint16_t LoadHalfBits(const uint8_t* at) {
  uint16_t half;
  std::memcpy(&half, at, sizeof(half));
  return half;
}

// Codes first … first + count of a stream. Eight codes fill whole bytes, so
// some before the first may have to be read too.
class CodeRun {
 public:
  CodeRun(const uint8_t* stream, int64_t first, int64_t count, int bits)
      : skipped_(first % 8), codes_(skipped_ + count) {
    UnpackBits(stream + (first - skipped_) / 8 * bits,
               static_cast<int64_t>(codes_.size()), bits, codes_.data());
  }
  uint8_t operator[](int64_t i) const { return codes_[skipped_ + i]; }

 private:
  int64_t skipped_;
  std::vector<uint8_t> codes_;
};

// One a grid, of rows first … first + count.
CodeRun UnpackZeros(const PackedWeight& w, int64_t first, int64_t count) {
  return CodeRun(w.zeros.data(), first * w.groups(), count * w.groups(),
                 w.bits);
}

int64_t GroupOf(const PackedWeight& w, int64_t column) {
  return w.group_of_column.empty() ? column / w.group_size
                                   : w.group_of_column[column];
}

// Rows first … first + count. REQUIRES: a valid dense weight.
void UnpackDense(const PackedWeight& w, int64_t first, int64_t count,
                 float* out) {
  const int64_t groups = w.groups();
  const int64_t row_bytes = PackedBytes(w.cols, w.bits);
  std::vector<uint8_t> codes(w.cols);
  std::vector<int> zeros(count * groups, 1 << (w.bits - 1));
  if (!w.symmetric) {
    const CodeRun stored = UnpackZeros(w, first, count);
    for (size_t i = 0; i < zeros.size(); ++i) zeros[i] = stored[i];
  }
  for (int64_t r = 0; r < count; ++r) {
    UnpackBits(w.codes.data() + (first + r) * row_bytes, w.cols, w.bits,
               codes.data());
    const uint16_t* const scales = w.scales.data() + (first + r) * groups;
    const int* const zero = zeros.data() + r * groups;
    float* const row = out + r * w.cols;
    if (!w.group_of_column.empty()) {
      for (int64_t c = 0; c < w.cols; ++c) {
        const int64_t g = w.group_of_column[c];
        row[c] = _cvtsh_ss(scales[g]) * static_cast<float>(codes[c] - zero[g]);
      }
      continue;
    }
    for (int64_t g = 0; g < groups; ++g) {
      const float scale = _cvtsh_ss(scales[g]);
      for (int64_t c = g * w.group_size; c < (g + 1) * w.group_size; ++c) {
        row[c] = scale * static_cast<float>(codes[c] - zero[g]);
      }
    }
  }
}

// The same of a sparse weight; codes begin … end are those of these rows.
void UnpackSparse(const PackedWeight& w, int64_t first, int64_t count,
                  int64_t begin, int64_t end, float* out) {
  const bool numbers = w.bits == kFloat16Bits;
  std::vector<float> values(end - begin);
  if (numbers) {
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = _cvtsh_ss(LoadHalfBits(w.codes.data() + 2 * (begin + i)));
    }
  } else if (!values.empty()) {
    const CodeRun codes(w.codes.data(), begin,
                        static_cast<int64_t>(values.size()), w.bits);
    for (size_t i = 0; i < values.size(); ++i) values[i] = codes[i];
  }
  std::vector<int> zeros;
  if (!numbers) {
    zeros.assign(count * w.groups(), 1 << (w.bits - 1));
    if (!w.symmetric) {
      const CodeRun stored = UnpackZeros(w, first, count);
      for (size_t i = 0; i < zeros.size(); ++i) zeros[i] = stored[i];
    }
  }
  size_t next = 0;
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t c = 0; c < w.cols; ++c) {
      const int64_t i = (first + r) * w.cols + c;
      float& value = out[r * w.cols + c];
      if ((w.positions[i / 8] >> (i % 8) & 1) == 0) {
        value = 0.0f;
        continue;
      }
      value = values[next++];
      if (numbers) continue;
      const int64_t g = GroupOf(w, c);
      value = _cvtsh_ss(w.scales[(first + r) * w.groups() + g]) *
              (value - static_cast<float>(zeros[r * w.groups() + g]));
    }
  }
}

}  // namespace

absl::StatusOr<PackedRows> PackedRows::Create(PackedWeight weight) {
  if (absl::Status s = Validate(weight); !s.ok()) return s;
  PackedRows rows(std::move(weight));
  const PackedWeight& w = rows.weight_;
  if (!w.sparse()) return rows;
  int64_t kept = 0;
  int64_t i = 0;
  for (int64_t r = 0; r < w.rows; ++r) {
    rows.kept_before_.push_back(kept);
    for (int64_t c = 0; c < w.cols; ++c, ++i) {
      kept += w.positions[i / 8] >> (i % 8) & 1;
    }
  }
  rows.kept_before_.push_back(kept);
  return rows;
}

int64_t PackedRows::bytes() const {
  return static_cast<int64_t>(
      weight_.codes.size() + weight_.positions.size() + weight_.zeros.size() +
      weight_.scales.size() * sizeof(uint16_t) +
      weight_.group_of_column.size() * sizeof(uint16_t) +
      kept_before_.size() * sizeof(int64_t));
}

absl::Status PackedRows::Unpack(int64_t first, int64_t count,
                                absl::Span<float> out) const {
  if (first < 0 || count < 0 || first > weight_.rows - count) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows ", first, " to ", first + count, " of a weight of ",
                     weight_.rows, " rows"));
  }
  if (static_cast<int64_t>(out.size()) != count * weight_.cols) {
    return absl::InvalidArgumentError(absl::StrCat(
        "out has ", out.size(), " entries instead of ", count * weight_.cols));
  }
  if (count == 0) return absl::OkStatus();
  if (weight_.sparse()) {
    UnpackSparse(weight_, first, count, kept_before_[first],
                 kept_before_[first + count], out.data());
  } else {
    UnpackDense(weight_, first, count, out.data());
  }
  return absl::OkStatus();
}

absl::Status Unpack(const PackedWeight& w, absl::Span<float> out) {
  if (absl::Status status = Validate(w); !status.ok()) return status;
  if (static_cast<int64_t>(out.size()) != w.rows * w.cols) {
    return absl::InvalidArgumentError(absl::StrCat(
        "out has ", out.size(), " entries instead of ", w.rows * w.cols));
  }
  if (w.sparse()) {
    UnpackSparse(w, 0, w.rows, 0, KeptWeights(w), out.data());
  } else {
    UnpackDense(w, 0, w.rows, out.data());
  }
  return absl::OkStatus();
}

}  // namespace evopress::quant
