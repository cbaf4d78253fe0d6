#include "worker/ops/rms_norm.h"

#include <cmath>

#include "worker/ops/vector_math.h"

namespace evopress::worker {
namespace {

float SumOfSquares(const float* x, int64_t n) {
  __m256 a = _mm256_setzero_ps();
  __m256 b = _mm256_setzero_ps();
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m256 u = _mm256_loadu_ps(x + i);
    const __m256 v = _mm256_loadu_ps(x + i + 8);
    a = _mm256_fmadd_ps(u, u, a);
    b = _mm256_fmadd_ps(v, v, b);
  }
  float sum = Sum(_mm256_add_ps(a, b));
  for (; i < n; ++i) sum += x[i] * x[i];
  return sum;
}

}  // namespace

template <typename Element>
void RmsNorm(const float* in, const float* weight, float epsilon, int64_t rows,
             int64_t n, int64_t stride, Element* out) {
  for (int64_t r = 0; r < rows; ++r, in += stride, out += stride) {
    const float mean = SumOfSquares(in, n) / static_cast<float>(n);
    const float inverse = 1.0f / std::sqrt(mean + epsilon);
    const __m256 scale = _mm256_set1_ps(inverse);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
      const __m256 x = _mm256_mul_ps(_mm256_loadu_ps(in + i), scale);
      Store(_mm256_mul_ps(x, _mm256_loadu_ps(weight + i)), out + i);
    }
    for (; i < n; ++i) Store(in[i] * inverse * weight[i], out + i);
  }
}

template void RmsNorm(const float*, const float*, float, int64_t, int64_t,
                      int64_t, float*);
template void RmsNorm(const float*, const float*, float, int64_t, int64_t,
                      int64_t, Bf16*);

void AddResidual(const float* delta, int64_t n, float* hidden) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(hidden + i, _mm256_add_ps(_mm256_loadu_ps(hidden + i),
                                               _mm256_loadu_ps(delta + i)));
  }
  for (; i < n; ++i) hidden[i] += delta[i];
}

void AddBias(const float* bias, int64_t rows, int64_t n, float* out) {
  for (int64_t r = 0; r < rows; ++r) AddResidual(bias, n, out + r * n);
}

}  // namespace evopress::worker
