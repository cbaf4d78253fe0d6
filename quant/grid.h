// Quantization grids, for panels of rows side by side.
//
// A panel holds kPanelRows rows of a weight transposed: column c of the panel
// is the kPanelRows floats at `panel + c * kPanelRows`, 32-byte aligned, so
// that one instruction works on eight rows. Rows never interact. Unused rows
// of the last panel are zero.
//
// A grid of b bits has the values scale * (code - zero), 0 <= code < 2^b, with
// scale a float16 number: what is fitted here is exactly what is stored.
#ifndef EVOPRESS_QUANT_GRID_H_
#define EVOPRESS_QUANT_GRID_H_

#include <cstdint>

namespace evopress::quant {

inline constexpr int64_t kPanelRows = 64;

// The grids of one group in every row of a panel.
struct alignas(32) PanelGrid {
  float scale[kPanelRows];  // float16 numbers, > 0; infinite on overflow
  float zero[kPanelRows];   // whole numbers in 0…2^bits-1
};

struct GridOptions {
  int bits = 4;
  bool symmetric = false;
  // Shrinks the range step by step to 20 % and keeps the step of the smallest
  // weighted squared error (the clip search of GPTQ's reference code).
  bool search = false;
};

// Fits one grid per row to `columns` columns of a panel: from min(0, min) to
// max(0, max), or symmetric about 0 (zero = 2^(bits-1)). `importance` weighs
// the columns in the search; null = all alike.
void FitGrid(const float* panel, int64_t columns, const float* importance,
             const GridOptions& options, PanelGrid* grid);

// Rounds one column of a panel to the grid, ties to even.
void QuantizeColumn(const float* column, const PanelGrid& grid, int bits,
                    uint8_t* codes, float* values);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_GRID_H_
