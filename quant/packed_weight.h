// A linear layer's weight as packed integer codes with group scales and zeros:
//   w[r][c] = scale[r][g(c)] * (code[r][c] - zero[r][g(c)])
// and its file format, the level blob. Values are self-contained; a blob file
// is memory-mapped and verified by checksum before use.
#ifndef EVOPRESS_QUANT_PACKED_WEIGHT_H_
#define EVOPRESS_QUANT_PACKED_WEIGHT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace evopress::quant {

// Rows are packed independently (each row's codes start at a byte boundary of
// the stream for that row; padding is not billed but is stored, below 8 bits a
// row). Group g of column c is group_of_column[c] when act_order permuted the
// columns, else c / group_size.
struct PackedWeight {
  int64_t rows = 0;
  int64_t cols = 0;
  int bits = 0;            // 2…8
  int group_size = 0;      // divides cols, or equals cols (whole row)
  bool symmetric = false;  // zero is the constant 2^(bits-1), none is stored
  std::vector<uint8_t> codes;             // rows * ceil(cols*bits/8) bytes
  std::vector<uint16_t> scales;           // f16 bits, rows * groups
  std::vector<uint8_t> zeros;             // packed `bits` wide, rows * groups
  std::vector<uint16_t> group_of_column;  // empty unless columns were permuted

  int64_t groups() const { return group_size > 0 ? cols / group_size : 0; }
};

// Dequantizes all rows to float32, row-major rows*cols. The only definition of
// what a packed weight means. InvalidArgument if `out` has the wrong size.
absl::Status Unpack(const PackedWeight& weight, absl::Span<float> out);

// InvalidArgument unless sizes, ranges and scales are consistent and finite.
absl::Status Validate(const PackedWeight& weight);

// Exact bits stored: codes + scales + zeros + column groups.
int64_t StoredBits(const PackedWeight& weight);

// The blob: header with magic, version, dimensions and lengths, sections, and
// a trailing SHA-256 over everything before it. Canonical: equal weights give
// equal bytes.
std::string SerializeBlob(const PackedWeight& weight);

// DataLoss (saying what is wrong and where) for anything that SerializeBlob
// would not have written.
absl::StatusOr<PackedWeight> ParseBlob(absl::Span<const uint8_t> bytes);

// Reads and verifies the blob file at `path`.
absl::StatusOr<PackedWeight> ReadBlob(const std::string& path);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_PACKED_WEIGHT_H_
