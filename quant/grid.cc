#include "quant/grid.h"

#include <immintrin.h>

namespace evopress::quant {
namespace {

constexpr int kLanes = 8;
constexpr int kSearchSteps = 80;  // shrinks the range to 20 % by 1 % steps

// float16 scales: the exponent range ends at 2^-24 below and 65504 above.
constexpr float kSmallestHalf = 5.9604644775390625e-08f;

__m256 RoundToHalf(__m256 x) {
  return _mm256_cvtph_ps(_mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

__m256 Round(__m256 x) {
  return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

struct LaneGrid {
  __m256 scale;
  __m256 zero;
};

struct LaneRange {
  __m256 low;   // <= 0
  __m256 high;  // >= 0
};

LaneRange RangeOf(const float* lanes, int64_t columns) {
  LaneRange range = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  for (int64_t c = 0; c < columns; ++c) {
    const __m256 w = _mm256_load_ps(lanes + c * kPanelRows);
    range.low = _mm256_min_ps(range.low, w);
    range.high = _mm256_max_ps(range.high, w);
  }
  return range;
}

// The grid over `range` shrunk by `factor`. A range of zero gets scale 1 and a
// scale below float16 the smallest one, so that dividing by it is always safe.
LaneGrid GridOver(const LaneRange& range, float factor, int bits,
                  bool symmetric) {
  const __m256 top = _mm256_set1_ps(static_cast<float>((1 << bits) - 1));
  const __m256 shrink = _mm256_set1_ps(factor);
  __m256 low = _mm256_mul_ps(range.low, shrink);
  __m256 high = _mm256_mul_ps(range.high, shrink);
  if (symmetric) {
    const __m256 minus_low = _mm256_sub_ps(_mm256_setzero_ps(), low);
    high = _mm256_max_ps(high, minus_low);
    low = _mm256_sub_ps(_mm256_setzero_ps(), high);
  }
  const __m256 width = _mm256_sub_ps(high, low);
  const __m256 empty = _mm256_cmp_ps(width, _mm256_setzero_ps(), _CMP_EQ_OQ);
  __m256 scale = RoundToHalf(_mm256_div_ps(width, top));
  scale = _mm256_max_ps(scale, _mm256_set1_ps(kSmallestHalf));
  scale = _mm256_blendv_ps(scale, _mm256_set1_ps(1.0f), empty);
  if (symmetric) {
    return {scale, _mm256_set1_ps(static_cast<float>(1 << (bits - 1)))};
  }
  __m256 zero =
      Round(_mm256_div_ps(_mm256_sub_ps(_mm256_setzero_ps(), low), scale));
  zero = _mm256_min_ps(_mm256_max_ps(zero, _mm256_setzero_ps()), top);
  return {scale, zero};
}

// Codes as whole floats.
__m256 CodesOf(__m256 w, const LaneGrid& grid, __m256 top) {
  const __m256 code =
      _mm256_add_ps(Round(_mm256_div_ps(w, grid.scale)), grid.zero);
  return _mm256_min_ps(_mm256_max_ps(code, _mm256_setzero_ps()), top);
}

__m256 ErrorOf(const float* lanes, int64_t columns, const float* importance,
               const LaneGrid& grid, __m256 top) {
  const __m256 inverse = _mm256_div_ps(_mm256_set1_ps(1.0f), grid.scale);
  const __m256 low = _mm256_sub_ps(_mm256_setzero_ps(), grid.zero);
  const __m256 high = _mm256_sub_ps(top, grid.zero);
  __m256 error = _mm256_setzero_ps();
  for (int64_t c = 0; c < columns; ++c) {
    const __m256 w = _mm256_load_ps(lanes + c * kPanelRows);
    // The search only compares grids, so a product with the reciprocal does.
    __m256 q = Round(_mm256_mul_ps(w, inverse));
    q = _mm256_min_ps(_mm256_max_ps(q, low), high);
    const __m256 d = _mm256_fnmadd_ps(q, grid.scale, w);
    const __m256 weighted =
        importance == nullptr
            ? d
            : _mm256_mul_ps(d, _mm256_broadcast_ss(importance + c));
    error = _mm256_fmadd_ps(weighted, d, error);
  }
  return error;
}

}  // namespace

void FitGrid(const float* panel, int64_t columns, const float* importance,
             const GridOptions& options, PanelGrid* grid) {
  const __m256 top =
      _mm256_set1_ps(static_cast<float>((1 << options.bits) - 1));
  for (int64_t lane = 0; lane < kPanelRows; lane += kLanes) {
    const float* lanes = panel + lane;
    const LaneRange range = RangeOf(lanes, columns);
    LaneGrid best = GridOver(range, 1.0f, options.bits, options.symmetric);
    if (options.search) {
      __m256 least = ErrorOf(lanes, columns, importance, best, top);
      for (int step = 1; step <= kSearchSteps; ++step) {
        const float factor = 1.0f - 0.01f * static_cast<float>(step);
        const LaneGrid next =
            GridOver(range, factor, options.bits, options.symmetric);
        const __m256 error = ErrorOf(lanes, columns, importance, next, top);
        const __m256 better = _mm256_cmp_ps(error, least, _CMP_LT_OQ);
        least = _mm256_blendv_ps(least, error, better);
        best.scale = _mm256_blendv_ps(best.scale, next.scale, better);
        best.zero = _mm256_blendv_ps(best.zero, next.zero, better);
      }
    }
    _mm256_store_ps(grid->scale + lane, best.scale);
    _mm256_store_ps(grid->zero + lane, best.zero);
  }
}

void QuantizeColumn(const float* column, const PanelGrid& grid, int bits,
                    uint8_t* codes, float* values) {
  const __m256 top = _mm256_set1_ps(static_cast<float>((1 << bits) - 1));
  for (int64_t lane = 0; lane < kPanelRows; lane += kLanes) {
    const LaneGrid lanes = {_mm256_load_ps(grid.scale + lane),
                            _mm256_load_ps(grid.zero + lane)};
    const __m256 code = CodesOf(_mm256_load_ps(column + lane), lanes, top);
    _mm256_store_ps(
        values + lane,
        _mm256_mul_ps(lanes.scale, _mm256_sub_ps(code, lanes.zero)));
    alignas(32) int32_t whole[kLanes];
    _mm256_store_si256(reinterpret_cast<__m256i*>(whole),
                       _mm256_cvtps_epi32(code));
    for (int i = 0; i < kLanes; ++i) {
      codes[lane + i] = static_cast<uint8_t>(whole[i]);
    }
  }
}

}  // namespace evopress::quant
