#include "worker/ops/activation.h"

#include "worker/ops/vector_math.h"

namespace evopress::worker {
namespace {

// x / (1 + exp(-y)). Beyond |y| = 88 the quotient is x or 0 already.
__m256 TimesSigmoid(__m256 x, __m256 y) {
  y = _mm256_max_ps(y, _mm256_set1_ps(-88.0f));
  const __m256 e = Exp(_mm256_sub_ps(_mm256_setzero_ps(), y));
  return _mm256_div_ps(x, _mm256_add_ps(_mm256_set1_ps(1.0f), e));
}

__m256 Silu(__m256 x) { return TimesSigmoid(x, x); }

// (1 + tanh(z)) / 2 is the sigmoid of 2 z.
__m256 GeluTanh(__m256 x) {
  const __m256 cube = _mm256_mul_ps(_mm256_mul_ps(x, x), x);
  const __m256 z = _mm256_fmadd_ps(cube, _mm256_set1_ps(0.044715f), x);
  return TimesSigmoid(
      x, _mm256_mul_ps(z, _mm256_set1_ps(2 * 0.7978845608028654f)));
}

template <__m256 (*F)(__m256), typename Element>
void Gate(const float* gate, const float* up, int64_t n, Element* out) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    Store(_mm256_mul_ps(F(_mm256_loadu_ps(gate + i)), _mm256_loadu_ps(up + i)),
          out + i);
  }
  for (; i < n; ++i) {
    Store(_mm256_cvtss_f32(F(_mm256_set1_ps(gate[i]))) * up[i], out + i);
  }
}

}  // namespace

template <typename Element>
void GatedActivation(Activation activation, const float* gate, const float* up,
                     int64_t n, Element* out) {
  switch (activation) {
    case Activation::kSilu:
      return Gate<Silu>(gate, up, n, out);
    case Activation::kGeluTanh:
      return Gate<GeluTanh>(gate, up, n, out);
  }
}

template void GatedActivation(Activation, const float*, const float*, int64_t,
                              float*);
template void GatedActivation(Activation, const float*, const float*, int64_t,
                              Bf16*);

}  // namespace evopress::worker
