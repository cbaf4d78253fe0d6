#include "worker/ops/tile_matmul.h"

#include <cstring>

#include "worker/ops/tile_session.h"
#include "worker/ops/wide_math.h"

namespace evopress::worker {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kTile = kLanes * kTileInputs;  // elements
constexpr int64_t kStep = 2 * kTile;             // of a strip, by 32 inputs
constexpr int64_t kRows = 2 * kLanes;            // of a panel, at a time
// What each row of blocks fetches of the strip ahead, by 32 inputs.
constexpr int64_t kLine = 32;
constexpr int64_t kShare = kStep / (kPanelRows / kRows);
static_assert(kShare % kLine == 0);
// Inputs whose part of a strip stays in the first cache (40 KiB).
constexpr int64_t kMostSteps = 20;

int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t Strips(int64_t rows) {
  return (rows + kTileOutputs - 1) / kTileOutputs;
}

// c[32][32] (+)= a[32][32 * steps] b. Fetches `ahead` meanwhile, kShare
// elements a step.
void MultiplyBlock(const Bf16* a, int64_t lda_bytes, const Bf16* b,
                   int64_t steps, const Bf16* ahead, bool accumulate, float* c,
                   int64_t ldc_bytes) {
  const Bf16* const a_low = a + kLanes * lda_bytes / 2;
  float* const c_low = c + kLanes * ldc_bytes / 4;
  if (accumulate) {
    _tile_loadd(0, c, ldc_bytes);
    _tile_loadd(1, c + kLanes, ldc_bytes);
    _tile_loadd(2, c_low, ldc_bytes);
    _tile_loadd(3, c_low + kLanes, ldc_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t s = 0; s < steps; ++s) {
    _tile_loadd(6, b, 64);
    _tile_loadd(4, a, lda_bytes);
    _tile_loadd(7, b + kTile, 64);
    _tile_loadd(5, a_low + s * kTileInputs, lda_bytes);
    for (int64_t line = 0; line < kShare; line += kLine) {
      _mm_prefetch(reinterpret_cast<const char*>(ahead + line), _MM_HINT_T1);
    }
    ahead += kShare;
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    a += kTileInputs;
    b += kStep;
  }
  _tile_stored(0, c, ldc_bytes);
  _tile_stored(1, c + kLanes, ldc_bytes);
  _tile_stored(2, c_low, ldc_bytes);
  _tile_stored(3, c_low + kLanes, ldc_bytes);
}

}  // namespace

int64_t TilePackedSize(int64_t rows, int64_t cols) {
  return Strips(rows) * kTileOutputs * cols;
}

void PackTiles(const float* weight, int64_t rows, int64_t cols, Bf16* out) {
  for (int64_t first = 0; first < Strips(rows) * kTileOutputs;
       first += kTileOutputs) {
    for (int64_t c = 0; c < cols; c += kTileInputs) {
      for (int64_t r = first; r < first + kTileOutputs; r += kLanes) {
        __m512i pairs[kLanes];
        for (int64_t i = 0; i < kLanes; ++i) {
          const float* const x = weight + (r + i) * cols + c;
          pairs[i] = r + i < rows ? ToBf16(_mm512_loadu_ps(x),
                                           _mm512_loadu_ps(x + kLanes))
                                  : _mm512_setzero_si512();
        }
        Transpose(pairs);
        for (int64_t i = 0; i < kLanes; ++i, out += 2 * kLanes) {
          _mm512_store_si512(out, pairs[i]);
        }
      }
    }
  }
}

void MultiplyTiles(const Bf16* input, const Bf16* packed, int64_t first,
                   int64_t count, int64_t cols, float* output) {
  const TileSession session(true);
  const int64_t steps = cols / kTileInputs;
  const int64_t blocks = (steps + kMostSteps - 1) / kMostSteps;
  const int64_t block_steps = (steps + blocks - 1) / blocks;
  packed += first * cols;
  for (int64_t at = 0; at < count; at += kTileOutputs) {
    const bool whole = at + kTileOutputs <= count;
    alignas(64) float rest[kPanelRows * kTileOutputs];
    float* const to = whole ? output + at : rest;
    const int64_t stride = whole ? count : kTileOutputs;
    for (int64_t step = 0; step < steps; step += block_steps) {
      const int64_t length = Least(block_steps, steps - step);
      const Bf16* const b = packed + at * cols + step * kStep;
      // Nothing may follow the last weights: fetch them once more.
      const bool last = at + kTileOutputs >= count && step + length == steps;
      const Bf16* const ahead = last ? b : b + length * kStep;
      for (int64_t row = 0; row < kPanelRows; row += kRows) {
        MultiplyBlock(input + row * cols + step * kTileInputs,
                      cols * sizeof(Bf16), b, length,
                      ahead + row / kRows * length * kShare, step > 0,
                      to + row * stride, stride * sizeof(float));
      }
    }
    if (whole) continue;
    for (int64_t r = 0; r < kPanelRows; ++r) {
      std::memcpy(output + r * count + at, rest + r * kTileOutputs,
                  (count - at) * sizeof(float));
    }
  }
}

}  // namespace evopress::worker
