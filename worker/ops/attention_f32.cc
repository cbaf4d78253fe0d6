// Float32 with AVX2.
#include <algorithm>
#include <vector>

#include "worker/ops/attention_kernel.h"
#include "worker/ops/vector_math.h"

namespace evopress::worker {
namespace {

// Rows that are kept in registers: AVX2 has 16.
constexpr int64_t kTileRows = 4;

// c[kQueryRows][16 * panels] (+)= a[kQueryRows][k] b, b in panels `b_stride`
// apart.
void Multiply(const float* a, int64_t lda, const float* b, int64_t b_stride,
              int64_t panels, int64_t k, bool accumulate, float* c,
              int64_t ldc) {
  for (int64_t p = 0; p < panels; ++p, b += b_stride, c += kPanelColumns) {
    for (int64_t first = 0; first < kQueryRows; first += kTileRows) {
      __m256 sum[kTileRows][2];
      for (int r = 0; r < kTileRows; ++r) {
        for (int half = 0; half < 2; ++half) {
          sum[r][half] = accumulate
                             ? _mm256_loadu_ps(c + (first + r) * ldc + 8 * half)
                             : _mm256_setzero_ps();
        }
      }
      for (int64_t i = 0; i < k; ++i) {
        const __m256 right0 = _mm256_loadu_ps(b + i * kPanelColumns);
        const __m256 right1 = _mm256_loadu_ps(b + i * kPanelColumns + 8);
        for (int r = 0; r < kTileRows; ++r) {
          const __m256 left = _mm256_broadcast_ss(a + (first + r) * lda + i);
          sum[r][0] = _mm256_fmadd_ps(left, right0, sum[r][0]);
          sum[r][1] = _mm256_fmadd_ps(left, right1, sum[r][1]);
        }
      }
      for (int r = 0; r < kTileRows; ++r) {
        _mm256_storeu_ps(c + (first + r) * ldc, sum[r][0]);
        _mm256_storeu_ps(c + (first + r) * ldc + 8, sum[r][1]);
      }
    }
  }
}

// Turns a row of scores into exp(score * scale - max) in place, and brings the
// running maximum and sum up to date. Returns what earlier results must be
// scaled by.
float RunningSoftmax(float* scores, int64_t n, float scale, float& max,
                     float& sum) {
  const __m256 factor = _mm256_set1_ps(scale);
  __m256 highest = _mm256_set1_ps(kMaskedScore);
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
    Store(e, scores + i);
  }
  sum = sum * correction + Sum(total);
  max = new_max;
  return correction;
}

// Masks the keys that query `query` must not see.
void Mask(int64_t query, int64_t window, int64_t first_key, int64_t n,
          float* scores) {
  for (int64_t i = std::max<int64_t>(query - first_key + 1, 0); i < n; ++i) {
    scores[i] = kMaskedScore;
  }
  if (window == 0) return;
  const int64_t hidden = std::min(query - window + 1 - first_key, n);
  for (int64_t i = 0; i < hidden; ++i) scores[i] = kMaskedScore;
}

}  // namespace

void AttendF32(const HeadView<float>& head, int64_t first_row, int64_t rows) {
  const int64_t dims = head.head_dim;
  thread_local std::vector<float> result;
  result.resize(kQueryRows * dims);
  alignas(32) float scores[kQueryRows * kKeyColumns];
  for (int64_t q = first_row; q < first_row + rows; q += kQueryRows) {
    float max[kQueryRows];
    float sum[kQueryRows];
    std::fill_n(max, kQueryRows, kMaskedScore);
    std::fill_n(sum, kQueryRows, 0.0f);
    const int64_t end = q + kQueryRows;
    const int64_t oldest =
        head.window > 0 ? std::max<int64_t>(q - head.window + 1, 0) : 0;
    const int64_t begin = oldest / kQueryRows * kQueryRows;
    for (int64_t k = begin; k < end; k += kKeyColumns) {
      const int64_t n = std::min(kKeyColumns, end - k);
      Multiply(head.queries + q * head.stride, head.stride,
               head.keys + k * dims, dims * kPanelColumns, n / kPanelColumns,
               dims, /*accumulate=*/false, scores, kKeyColumns);
      for (int64_t r = 0; r < kQueryRows; ++r) {
        float* const row = scores + r * kKeyColumns;
        Mask(q + r, head.window, k, n, row);
        const float correction =
            RunningSoftmax(row, n, head.scale, max[r], sum[r]);
        if (k == begin || correction == 1.0f) continue;
        const __m256 factor = _mm256_set1_ps(correction);
        for (int64_t d = 0; d < dims; d += 8) {
          float* const x = &result[r * dims + d];
          Store(_mm256_mul_ps(_mm256_loadu_ps(x), factor), x);
        }
      }
      Multiply(scores, kKeyColumns, head.values + k * kPanelColumns,
               head.capacity * kPanelColumns, dims / kPanelColumns, n,
               /*accumulate=*/k != begin, result.data(), dims);
    }
    float* out = head.out + q * head.stride;
    for (int64_t r = 0; r < kQueryRows; ++r, out += head.stride) {
      const __m256 factor = _mm256_set1_ps(1.0f / sum[r]);
      for (int64_t d = 0; d < dims; d += 8) {
        Store(_mm256_mul_ps(_mm256_loadu_ps(&result[r * dims + d]), factor),
              out + d);
      }
    }
  }
}

}  // namespace evopress::worker
