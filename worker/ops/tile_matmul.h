// worker/ops/tile_matmul.h
// y = W x for panels of kPanelRows bfloat16 inputs on matrix tiles (AMX). A
// result is the same chain of tile products whatever else is computed with it.
//
// oneDNN reaches about half of this speed on a model's shapes: weights of a
// layer do not stay in the second cache from panel to panel, and here the next
// ones are fetched while the present ones are multiplied.
#ifndef EVOPRESS_WORKER_OPS_TILE_MATMUL_H_
#define EVOPRESS_WORKER_OPS_TILE_MATMUL_H_

#include <cstdint>

#include "worker/ops/arithmetic.h"

namespace evopress::worker {

// Input dimensions are multiples of this.
inline constexpr int64_t kTileInputs = 32;

// Outputs of a strip of packed weights.
inline constexpr int64_t kTileOutputs = 32;

// Elements of a packed weight of rows x cols: 32 outputs at a time, of them 32
// inputs at a time as two tiles, each of 16 pairs of inputs by 16 outputs.
int64_t TilePackedSize(int64_t rows, int64_t cols);

// `weight`: rows x cols, row-major. `out` is 64-byte aligned.
// REQUIRES, as below: UsesTiles(); cols a multiple of kTileInputs.
void PackTiles(const float* weight, int64_t rows, int64_t cols, Bf16* out);

// Outputs first … first+count of them, `first` a multiple of kTileOutputs.
// input: kPanelRows x cols; output: kPanelRows x count; row-major, without
// gaps.
void MultiplyTiles(const Bf16* input, const Bf16* packed, int64_t first,
                   int64_t count, int64_t cols, float* output);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_TILE_MATMUL_H_
