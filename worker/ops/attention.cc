#include "worker/ops/attention.h"

#include <algorithm>
#include <cstring>

#include "worker/ops/vector_math.h"

namespace evopress::worker {
namespace {

constexpr int64_t kQueryRows = 32;
constexpr int64_t kKeyColumns = 128;
constexpr int64_t kTileRows = 8;
constexpr int64_t kPanel = 16;
constexpr float kMasked = -1e30f;

// c[8][16 * kPanels] (+)= a[8][k] b, with b in panels `b_stride` apart.
template <int kPanels>
__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) void Tile(
    const Bf16* a, int64_t lda, const Bf16* b, int64_t b_stride, int64_t k,
    bool accumulate, float* c, int64_t ldc) {
  __m512 sum[kTileRows][kPanels];
  for (int r = 0; r < kTileRows; ++r) {
    for (int p = 0; p < kPanels; ++p) {
      sum[r][p] = accumulate ? _mm512_loadu_ps(c + r * ldc + p * kPanel)
                             : _mm512_setzero_ps();
    }
  }
  for (int64_t i = 0; i < k; i += 2) {
    __m512bh right[kPanels];
    for (int p = 0; p < kPanels; ++p) {
      right[p] = (__m512bh)_mm512_loadu_si512(b + p * b_stride + i * kPanel);
    }
    for (int r = 0; r < kTileRows; ++r) {
      int32_t pair;
      std::memcpy(&pair, a + r * lda + i, sizeof(pair));
      const __m512bh left = (__m512bh)_mm512_set1_epi32(pair);
      for (int p = 0; p < kPanels; ++p) {
        sum[r][p] = _mm512_dpbf16_ps(sum[r][p], left, right[p]);
      }
    }
  }
  for (int r = 0; r < kTileRows; ++r) {
    for (int p = 0; p < kPanels; ++p) {
      _mm512_storeu_ps(c + r * ldc + p * kPanel, sum[r][p]);
    }
  }
}

// The same in float32, four rows at a time: AVX2 has 16 registers.
template <int kPanels>
void Tile(const float* a, int64_t lda, const float* b, int64_t b_stride,
          int64_t k, bool accumulate, float* c, int64_t ldc) {
  for (int p = 0; p < kPanels; ++p, b += b_stride, c += kPanel) {
    for (int64_t first = 0; first < kTileRows; first += 4) {
      __m256 sum[4][2];
      for (int r = 0; r < 4; ++r) {
        for (int half = 0; half < 2; ++half) {
          sum[r][half] = accumulate
                             ? _mm256_loadu_ps(c + (first + r) * ldc + 8 * half)
                             : _mm256_setzero_ps();
        }
      }
      for (int64_t i = 0; i < k; ++i) {
        const __m256 right0 = _mm256_loadu_ps(b + i * kPanel);
        const __m256 right1 = _mm256_loadu_ps(b + i * kPanel + 8);
        for (int r = 0; r < 4; ++r) {
          const __m256 left = _mm256_broadcast_ss(a + (first + r) * lda + i);
          sum[r][0] = _mm256_fmadd_ps(left, right0, sum[r][0]);
          sum[r][1] = _mm256_fmadd_ps(left, right1, sum[r][1]);
        }
      }
      for (int r = 0; r < 4; ++r) {
        _mm256_storeu_ps(c + (first + r) * ldc, sum[r][0]);
        _mm256_storeu_ps(c + (first + r) * ldc + 8, sum[r][1]);
      }
    }
  }
}

// c[kQueryRows][16 * panels] (+)= a b.
template <typename Element>
void Multiply(const Element* a, int64_t lda, const Element* b, int64_t b_stride,
              int64_t panels, int64_t k, bool accumulate, float* c,
              int64_t ldc) {
  int64_t p = 0;
  for (; p + 2 <= panels; p += 2) {
    for (int64_t r = 0; r < kQueryRows; r += kTileRows) {
      Tile<2>(a + r * lda, lda, b + p * b_stride, b_stride, k, accumulate,
              c + r * ldc + p * kPanel, ldc);
    }
  }
  if (p == panels) return;
  for (int64_t r = 0; r < kQueryRows; r += kTileRows) {
    Tile<1>(a + r * lda, lda, b + p * b_stride, b_stride, k, accumulate,
            c + r * ldc + p * kPanel, ldc);
  }
}

// Turns a row of scaled scores into exp(score - max), and brings the running
// maximum and sum up to date. Returns what earlier results must be scaled by.
template <typename Element>
float RunningSoftmax(const float* scores, int64_t n, float scale, float& max,
                     float& sum, Element* out) {
  const __m256 factor = _mm256_set1_ps(scale);
  __m256 highest = _mm256_set1_ps(kMasked);
  for (int64_t i = 0; i < n; i += 8) {
    highest = _mm256_max_ps(highest,
                            _mm256_mul_ps(_mm256_loadu_ps(scores + i), factor));
  }
  const float new_max = std::max(max, Max(highest));
  const float correction = Exp(max - new_max);
  const __m256 shift = _mm256_set1_ps(new_max);
  __m256 total = _mm256_setzero_ps();
  for (int64_t i = 0; i < n; i += 8) {
    const __m256 e = Exp(_mm256_sub_ps(
        _mm256_mul_ps(_mm256_loadu_ps(scores + i), factor), shift));
    total = _mm256_add_ps(total, e);
    Store(e, out + i);
  }
  sum = sum * correction + Sum(total);
  max = new_max;
  return correction;
}

// Masks the keys that query `query` of a block must not see.
void Mask(int64_t query, int64_t window, int64_t first_key, int64_t n,
          float* scores) {
  for (int64_t i = std::max<int64_t>(query - first_key + 1, 0); i < n; ++i) {
    scores[i] = kMasked;
  }
  if (window == 0) return;
  const int64_t visible = std::min(query - window + 1 - first_key, n);
  for (int64_t i = 0; i < visible; ++i) scores[i] = kMasked;
}

}  // namespace

AttentionBuffers::AttentionBuffers(Arithmetic arithmetic,
                                   const AttentionShape& shape,
                                   int64_t capacity)
    : arithmetic_(arithmetic), shape_(shape), capacity_(capacity) {
  const int64_t row_bytes = shape.head_dim * ElementBytes(arithmetic);
  queries_.resize(capacity * shape.heads * row_bytes);
  output_.resize(capacity * shape.heads * row_bytes);
  keys_.resize(capacity * shape.kv_heads * row_bytes);
  values_.resize(capacity * shape.kv_heads * row_bytes);
}

void AttentionBuffers::StoreQueries(int64_t first_row, const float* queries) {
  const int64_t width = shape_.heads * shape_.head_dim;
  if (arithmetic_ == Arithmetic::kF32) {
    std::memcpy(queries_.data() + first_row * width * sizeof(float), queries,
                kPanelRows * width * sizeof(float));
    return;
  }
  auto* const out =
      reinterpret_cast<Bf16*>(queries_.data()) + first_row * width;
  for (int64_t i = 0; i < kPanelRows * width; i += 8) {
    Store(_mm256_loadu_ps(queries + i), out + i);
  }
}

// A value at (row, dim) goes to panel column / 16, where the column is the
// row for keys and the dimension for values; the other index is summed over.
template <typename Element>
void AttentionBuffers::StorePanels(bool transposed, int64_t first_row,
                                   const float* in,
                                   std::vector<uint8_t>& out) const {
  constexpr int64_t kPair = 4 / sizeof(Element);
  const int64_t dims = shape_.head_dim;
  auto* const elements = reinterpret_cast<Element*>(out.data());
  for (int64_t h = 0; h < shape_.kv_heads; ++h) {
    Element* const head = elements + h * capacity_ * dims;
    for (int64_t r = 0; r < kPanelRows; ++r) {
      const float* const x = in + (r * shape_.kv_heads + h) * dims;
      const int64_t row = first_row + r;
      for (int64_t d = 0; d < dims; ++d) {
        const int64_t column = transposed ? row : d;
        const int64_t inner = transposed ? d : row;
        const int64_t inner_size = transposed ? dims : capacity_;
        Store(x[d], head + (column / kPanel) * inner_size * kPanel +
                        inner / kPair * kPair * kPanel +
                        column % kPanel * kPair + inner % kPair);
      }
    }
  }
}

void AttentionBuffers::StoreKeys(int64_t first_row, const float* keys) {
  if (arithmetic_ == Arithmetic::kBf16) {
    StorePanels<Bf16>(true, first_row, keys, keys_);
  } else {
    StorePanels<float>(true, first_row, keys, keys_);
  }
}

void AttentionBuffers::StoreValues(int64_t first_row, const float* values) {
  if (arithmetic_ == Arithmetic::kBf16) {
    StorePanels<Bf16>(false, first_row, values, values_);
  } else {
    StorePanels<float>(false, first_row, values, values_);
  }
}

template <typename Element>
void AttentionBuffers::AttendIn(const AttentionShape& shape, int64_t head,
                                int64_t first_row) {
  const int64_t dims = shape_.head_dim;
  const int64_t width = shape_.heads * dims;
  const int64_t kv_offset =
      head / (shape_.heads / shape_.kv_heads) * capacity_ * dims;
  const auto* const keys = reinterpret_cast<Element*>(keys_.data()) + kv_offset;
  const auto* const values =
      reinterpret_cast<Element*>(values_.data()) + kv_offset;
  thread_local std::vector<float> result;
  result.resize(kQueryRows * dims);
  alignas(64) float scores[kQueryRows * kKeyColumns];
  alignas(64) Element weights[kQueryRows * kKeyColumns];
  for (int64_t q = first_row; q < first_row + kPanelRows; q += kQueryRows) {
    const auto* const queries =
        reinterpret_cast<Element*>(queries_.data()) + q * width + head * dims;
    float max[kQueryRows];
    float sum[kQueryRows];
    std::fill_n(max, kQueryRows, kMasked);
    std::fill_n(sum, kQueryRows, 0.0f);
    const int64_t end = q + kQueryRows;
    const int64_t oldest =
        shape.window > 0 ? std::max<int64_t>(q - shape.window + 1, 0) : 0;
    const int64_t begin = oldest / kQueryRows * kQueryRows;
    for (int64_t k = begin; k < end; k += kKeyColumns) {
      const int64_t n = std::min(kKeyColumns, end - k);
      Multiply(queries, width, keys + k * dims, dims * kPanel, n / kPanel, dims,
               /*accumulate=*/false, scores, kKeyColumns);
      const bool diagonal = k + n > q + 1;
      const bool edge = shape.window > 0 && k < end - shape.window;
      for (int64_t r = 0; r < kQueryRows; ++r) {
        float* const row = scores + r * kKeyColumns;
        if (diagonal || edge) Mask(q + r, shape.window, k, n, row);
        const float correction = RunningSoftmax(
            row, n, shape.scale, max[r], sum[r], weights + r * kKeyColumns);
        if (k == begin || correction == 1.0f) continue;
        const __m256 factor = _mm256_set1_ps(correction);
        for (float* x = &result[r * dims]; x != &result[0] + (r + 1) * dims;
             x += 8) {
          _mm256_storeu_ps(x, _mm256_mul_ps(_mm256_loadu_ps(x), factor));
        }
      }
      Multiply(weights, kKeyColumns, values + k * kPanel, capacity_ * kPanel,
               dims / kPanel, n, /*accumulate=*/k != begin, result.data(),
               dims);
    }
    auto* out =
        reinterpret_cast<Element*>(output_.data()) + q * width + head * dims;
    for (int64_t r = 0; r < kQueryRows; ++r, out += width) {
      const __m256 factor = _mm256_set1_ps(1.0f / sum[r]);
      for (int64_t d = 0; d < dims; d += 8) {
        Store(_mm256_mul_ps(_mm256_loadu_ps(&result[r * dims + d]), factor),
              out + d);
      }
    }
  }
}

void AttentionBuffers::Attend(const AttentionShape& shape, int64_t head,
                              int64_t first_row) {
  if (arithmetic_ == Arithmetic::kBf16) {
    AttendIn<Bf16>(shape, head, first_row);
  } else {
    AttendIn<float>(shape, head, first_row);
  }
}

}  // namespace evopress::worker
