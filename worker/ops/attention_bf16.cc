// Bfloat16 with AVX-512, matrix products on tiles (AMX) where there are any.
// Nothing here may be shared with files compiled for lesser processors: see
// wide_math.h.
#include <cstring>

#include "worker/ops/attention_kernel.h"
#include "worker/ops/tile_session.h"
#include "worker/ops/wide_math.h"

namespace evopress::worker {
namespace {

constexpr int64_t kTileRows = 8;  // kept in registers without AMX
constexpr int64_t kLanes = 16;
constexpr float kLog2E = 1.44269504088896341f;

int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t Most(int64_t a, int64_t b) { return a > b ? a : b; }

// c[kQueryRows][16 * panels] (+)= a[kQueryRows][k] b, b in panels `b_stride`
// apart, each of pairs of rows interleaved.
struct Product {
  const Bf16* a;
  int64_t lda;
  const Bf16* b;
  int64_t b_stride;
  int64_t panels;
  int64_t k;
  bool accumulate;
  float* c;
  int64_t ldc;
};

// c[8][16 * kPanels] (+)= a[8][k] b.
template <int kPanels>
void MultiplyRows(const Product& m, int64_t row, int64_t panel) {
  const Bf16* const a = m.a + row * m.lda;
  const Bf16* const b = m.b + panel * m.b_stride;
  float* const c = m.c + row * m.ldc + panel * kPanelColumns;
  __m512 sum[kTileRows][kPanels];
  for (int r = 0; r < kTileRows; ++r) {
    for (int p = 0; p < kPanels; ++p) {
      sum[r][p] = m.accumulate
                      ? _mm512_loadu_ps(c + r * m.ldc + p * kPanelColumns)
                      : _mm512_setzero_ps();
    }
  }
  for (int64_t i = 0; i < m.k; i += 2) {
    __m512bh right[kPanels];
    for (int p = 0; p < kPanels; ++p) {
      right[p] =
          (__m512bh)_mm512_loadu_si512(b + p * m.b_stride + i * kPanelColumns);
    }
    for (int r = 0; r < kTileRows; ++r) {
      int32_t pair;
      std::memcpy(&pair, a + r * m.lda + i, sizeof(pair));
      const __m512bh left = (__m512bh)_mm512_set1_epi32(pair);
      for (int p = 0; p < kPanels; ++p) {
        sum[r][p] = _mm512_dpbf16_ps(sum[r][p], left, right[p]);
      }
    }
  }
  for (int r = 0; r < kTileRows; ++r) {
    for (int p = 0; p < kPanels; ++p) {
      _mm512_storeu_ps(c + r * m.ldc + p * kPanelColumns, sum[r][p]);
    }
  }
}

void MultiplyOnVectors(const Product& m) {
  int64_t p = 0;
  for (; p + 2 <= m.panels; p += 2) {
    for (int64_t r = 0; r < kQueryRows; r += kTileRows) {
      MultiplyRows<2>(m, r, p);
    }
  }
  if (p == m.panels) return;
  for (int64_t r = 0; r < kQueryRows; r += kTileRows) MultiplyRows<1>(m, r, p);
}

// REQUIRES: a TileSession; k a multiple of 32.
void MultiplyOnTiles(const Product& m) {
  const int64_t a_bytes = m.lda * sizeof(Bf16);
  const int64_t c_bytes = m.ldc * sizeof(float);
  const Bf16* const low = m.a + kLanes * m.lda;
  int64_t p = 0;
  for (; p + 2 <= m.panels; p += 2) {
    const Bf16* const b = m.b + p * m.b_stride;
    float* const c = m.c + p * kPanelColumns;
    float* const d = c + kLanes * m.ldc;
    if (m.accumulate) {
      _tile_loadd(0, c, c_bytes);
      _tile_loadd(1, c + kPanelColumns, c_bytes);
      _tile_loadd(2, d, c_bytes);
      _tile_loadd(3, d + kPanelColumns, c_bytes);
    } else {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    }
    for (int64_t i = 0; i < m.k; i += 32) {
      _tile_loadd(4, m.a + i, a_bytes);
      _tile_loadd(6, b + i * kPanelColumns, 64);
      _tile_loadd(7, b + m.b_stride + i * kPanelColumns, 64);
      _tile_loadd(5, low + i, a_bytes);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, c_bytes);
    _tile_stored(1, c + kPanelColumns, c_bytes);
    _tile_stored(2, d, c_bytes);
    _tile_stored(3, d + kPanelColumns, c_bytes);
  }
  if (p == m.panels) return;
  const Bf16* const b = m.b + p * m.b_stride;
  float* const c = m.c + p * kPanelColumns;
  float* const d = c + kLanes * m.ldc;
  if (m.accumulate) {
    _tile_loadd(0, c, c_bytes);
    _tile_loadd(2, d, c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(2);
  }
  for (int64_t i = 0; i < m.k; i += 32) {
    _tile_loadd(4, m.a + i, a_bytes);
    _tile_loadd(5, low + i, a_bytes);
    _tile_loadd(6, b + i * kPanelColumns, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(2, 5, 6);
  }
  _tile_stored(0, c, c_bytes);
  _tile_stored(2, d, c_bytes);
}

// Maximum (in units of log2) and sum of a query's weights so far; the sum is
// spread over lanes.
struct Running {
  float max = kMaskedScore;
  __m512 sum = _mm512_setzero_ps();
};

// Lanes of vector j whose keys lie in [begin, end) of the block.
__mmask16 Visible(int64_t j, int64_t begin, int64_t end) {
  const int64_t from = Least(Most(begin - j * kLanes, 0), kLanes);
  const int64_t to = Least(Most(end - j * kLanes, 0), kLanes);
  return static_cast<__mmask16>((1u << to) - 1) &
         static_cast<__mmask16>(~((1u << from) - 1));
}

// Turns 16 * N scores of a query, of which it sees [begin, end), into weights.
// Returns what earlier results must be scaled by.
template <int N>
float SoftmaxRow(const float* scores, int64_t begin, int64_t end, float scale,
                 Running& running, Bf16* out) {
  __m512 x[N];
  for (int j = 0; j < N; ++j) x[j] = _mm512_loadu_ps(scores + j * kLanes);
  if (begin > 0 || end < N * kLanes) {
    const __m512 masked = _mm512_set1_ps(kMaskedScore);
    for (int j = 0; j < N; ++j) {
      x[j] = _mm512_mask_blend_ps(Visible(j, begin, end), masked, x[j]);
    }
  }
  __m512 highest = x[0];
  for (int j = 1; j < N; ++j) highest = _mm512_max_ps(highest, x[j]);
  const float block_max = _mm512_reduce_max_ps(highest) * scale;
  float correction = 1;
  if (block_max > running.max) {
    const __m512 factor = RoughExp2(_mm512_set1_ps(running.max - block_max));
    running.sum = _mm512_mul_ps(running.sum, factor);
    running.max = block_max;
    correction = _mm512_cvtss_f32(factor);
  }
  const __m512 multiplier = _mm512_set1_ps(scale);
  const __m512 shift = _mm512_set1_ps(running.max);
  for (int j = 0; j < N; ++j) {
    x[j] = RoughExp2(_mm512_fmsub_ps(x[j], multiplier, shift));
    running.sum = _mm512_add_ps(running.sum, x[j]);
  }
  for (int j = 0; j < N; j += 2) {
    _mm512_storeu_si512(out + j * kLanes, ToBf16(x[j], x[j + 1]));
  }
  return correction;
}

using SoftmaxOfRow = float (*)(const float*, int64_t, int64_t, float, Running&,
                               Bf16*);
// By the number of keys in 32s.
constexpr SoftmaxOfRow kSoftmaxRows[] = {SoftmaxRow<2>, SoftmaxRow<4>,
                                         SoftmaxRow<6>, SoftmaxRow<8>};
static_assert(kKeyColumns == 8 * kLanes && kQueryRows == 2 * kLanes);

// One block of queries against all keys that any of them sees.
void AttendBlock(const HeadView<Bf16>& head, int64_t q, bool tiles) {
  const int64_t dims = head.head_dim;
  alignas(64) float result[kQueryRows * kMaxHeadDim];
  alignas(64) float scores[kQueryRows * kKeyColumns];
  alignas(64) Bf16 weights[kQueryRows * kKeyColumns];
  Running running[kQueryRows];
  const bool score_tiles = tiles && dims % 32 == 0;
  const float scale = head.scale * kLog2E;
  const int64_t end = q + kQueryRows;
  const int64_t oldest = head.window > 0 ? Most(q - head.window + 1, 0) : 0;
  const int64_t begin = oldest / kQueryRows * kQueryRows;
  for (int64_t k = begin; k < end; k += kKeyColumns) {
    const int64_t n = Least(kKeyColumns, end - k);
    const Product product = {head.queries + q * head.stride,
                             head.stride,
                             head.keys + k * dims,
                             dims * kPanelColumns,
                             n / kPanelColumns,
                             dims,
                             /*accumulate=*/false,
                             scores,
                             kKeyColumns};
    score_tiles ? MultiplyOnTiles(product) : MultiplyOnVectors(product);
    const SoftmaxOfRow softmax = kSoftmaxRows[n / kQueryRows - 1];
    for (int64_t r = 0; r < kQueryRows; ++r) {
      const int64_t first = head.window > 0 ? q + r - head.window + 1 - k : 0;
      const float correction =
          softmax(scores + r * kKeyColumns, first, q + r + 1 - k, scale,
                  running[r], weights + r * kKeyColumns);
      if (k == begin || correction == 1.0f) continue;
      const __m512 factor = _mm512_set1_ps(correction);
      for (int64_t d = 0; d < dims; d += kLanes) {
        float* const x = result + r * dims + d;
        _mm512_storeu_ps(x, _mm512_mul_ps(_mm512_loadu_ps(x), factor));
      }
    }
    const Product sum = {weights,
                         kKeyColumns,
                         head.values + k * kPanelColumns,
                         head.capacity * kPanelColumns,
                         dims / kPanelColumns,
                         n,
                         /*accumulate=*/k != begin,
                         result,
                         dims};
    tiles ? MultiplyOnTiles(sum) : MultiplyOnVectors(sum);
  }
  Bf16* out = head.out + q * head.stride;
  for (int64_t r = 0; r < kQueryRows; ++r, out += head.stride) {
    const __m512 factor =
        _mm512_set1_ps(1.0f / _mm512_reduce_add_ps(running[r].sum));
    for (int64_t d = 0; d < dims; d += kLanes) {
      const __m512 x = _mm512_loadu_ps(result + r * dims + d);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + d),
                          ToBf16(_mm512_mul_ps(x, factor)));
    }
  }
}

}  // namespace

void AttendBf16(const HeadView<Bf16>& head, int64_t first_row, int64_t rows) {
  const bool tiles = UsesTiles();
  const TileSession session(tiles);
  for (int64_t q = first_row; q < first_row + rows; q += kQueryRows) {
    AttendBlock(head, q, tiles);
  }
}

void PackQueriesBf16(const float* in, int64_t values, Bf16* out) {
  for (int64_t i = 0; i < values; i += kLanes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                        ToBf16(_mm512_loadu_ps(in + i)));
  }
}

// A panel is 16 keys; of them, pairs of dimensions lie side by side.
void PackKeysBf16(const float* in, int64_t heads, int64_t head_dim,
                  int64_t capacity, int64_t first_row, Bf16* out) {
  const int64_t stride = heads * head_dim;
  for (int64_t h = 0; h < heads; ++h) {
    Bf16* panel = out + h * capacity * head_dim + first_row * head_dim;
    for (int64_t r = 0; r < kPanelRows; r += kLanes) {
      const float* const rows = in + r * stride + h * head_dim;
      for (int64_t d = 0; d < head_dim; d += 32) {
        const bool whole = d + 32 <= head_dim;
        __m512i pairs[16];
        for (int64_t i = 0; i < kLanes; ++i) {
          const float* const x = rows + i * stride + d;
          const __m512 low = _mm512_loadu_ps(x);
          pairs[i] = ToBf16(
              low, whole ? _mm512_loadu_ps(x + kLanes) : _mm512_setzero_ps());
        }
        Transpose(pairs);
        for (int64_t i = 0; i < (whole ? 16 : 8); ++i, panel += 32) {
          _mm512_storeu_si512(panel, pairs[i]);
        }
      }
    }
  }
}

// A panel is 16 dimensions; of them, pairs of positions lie side by side.
void PackValuesBf16(const float* in, int64_t heads, int64_t head_dim,
                    int64_t capacity, int64_t first_row, Bf16* out) {
  const int64_t stride = heads * head_dim;
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t d = 0; d < head_dim; d += kLanes) {
      Bf16* panel = out + h * capacity * head_dim + d * capacity +
                    first_row * kPanelColumns;
      const float* x = in + h * head_dim + d;
      for (int64_t r = 0; r < kPanelRows;
           r += 2, x += 2 * stride, panel += 32) {
        const __m512i even = _mm512_cvtepu16_epi32(ToBf16(_mm512_loadu_ps(x)));
        const __m512i odd =
            _mm512_cvtepu16_epi32(ToBf16(_mm512_loadu_ps(x + stride)));
        _mm512_storeu_si512(panel,
                            _mm512_or_si512(even, _mm512_slli_epi32(odd, 16)));
      }
    }
  }
}

}  // namespace evopress::worker
