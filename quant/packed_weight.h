// A linear layer's weight as packed integer codes with group scales and zeros:
//   w[r][c] = scale[r][g(c)] * (code[r][c] - zero[r][g(c)])
// or, where weights are pruned, as the positions of those that are kept and
// their codes or float16 numbers; and its file format, the level blob. Values
// are self-contained; a blob file is memory-mapped and verified by checksum
// before use.
#ifndef EVOPRESS_QUANT_PACKED_WEIGHT_H_
#define EVOPRESS_QUANT_PACKED_WEIGHT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace evopress::quant {

inline constexpr int kFloat16Bits = 16;  // PackedWeight::bits without codes

// Rows of a dense weight are packed independently (each row's codes start at a
// byte boundary of the stream for that row; padding is not billed but is
// stored, below 8 bits a row). Group g of column c is group_of_column[c] when
// act_order permuted the columns, else c / group_size.
//
// A sparse weight has one bit a weight that says whether it is kept, and codes
// of the kept ones only, all rows in one stream. One bit is also what the two
// indices of hardware's 2:4 pattern take, so patterns need no other form.
struct PackedWeight {
  int64_t rows = 0;
  int64_t cols = 0;
  int bits = 0;        // 2…8, or 16 for float16 numbers in a sparse weight
  int group_size = 0;  // divides cols, or equals cols (whole row); 0 at 16
  bool symmetric = false;  // zero is the constant 2^(bits-1), none is stored
  std::vector<uint8_t> positions;  // empty if dense; else rows * cols bits,
                                   // row-major (bit_packing.h), 1 = kept
  std::vector<uint8_t> codes;      // dense: rows * ceil(cols*bits/8) bytes;
                                   // sparse: ceil(kept*bits/8) bytes
  std::vector<uint16_t> scales;    // f16 bits, rows * groups
  std::vector<uint8_t> zeros;      // packed `bits` wide, rows * groups
  std::vector<uint16_t> group_of_column;  // empty unless columns were permuted

  bool sparse() const { return !positions.empty(); }
  int64_t groups() const { return group_size > 0 ? cols / group_size : 0; }
};

// Dequantizes all rows to float32, row-major rows*cols. The only definition of
// what a packed weight means. InvalidArgument if `out` has the wrong size.
absl::Status Unpack(const PackedWeight& weight, absl::Span<float> out);

// InvalidArgument unless sizes, ranges, scales and float16 numbers are
// consistent and finite.
absl::Status Validate(const PackedWeight& weight);

// Weights that are kept: set positions, or all of a dense weight.
// REQUIRES: `positions` of the right size.
int64_t KeptWeights(const PackedWeight& weight);

// Exact bits stored: positions + codes + scales + zeros + column groups.
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
