// Some rows of a packed weight, for those that are too large to be unpacked
// whole or of which few rows are read, such as embeddings.
#ifndef EVOPRESS_QUANT_PACKED_ROWS_H_
#define EVOPRESS_QUANT_PACKED_ROWS_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "quant/packed_weight.h"

namespace evopress::quant {

// Immutable and thread-safe.
class PackedRows {
 public:
  // InvalidArgument as Validate().
  static absl::StatusOr<PackedRows> Create(PackedWeight weight);

  int64_t rows() const { return weight_.rows; }
  int64_t cols() const { return weight_.cols; }
  int64_t bytes() const;  // memory taken

  // Rows first … first + count as Unpack() gives them, bit for bit, into
  // count * cols floats. InvalidArgument if there are no such rows or `out`
  // has another size.
  absl::Status Unpack(int64_t first, int64_t count,
                      absl::Span<float> out) const;

 private:
  explicit PackedRows(PackedWeight weight) : weight_(std::move(weight)) {}

  PackedWeight weight_;
  std::vector<int64_t> kept_before_;  // of sparse weights, by row
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_PACKED_ROWS_H_
