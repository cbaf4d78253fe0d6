#include "worker/ops/kernels_of.h"
#include "worker/ops/wide_math.h"

namespace evopress::worker {
namespace {

using Element = Bf16;
using Lanes = __m512;
constexpr int64_t kLanes = 16;

__mmask16 First(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }

Lanes Load(const float* p) { return _mm512_loadu_ps(p); }
Lanes LoadPart(const float* p, int64_t n) {
  return _mm512_maskz_loadu_ps(First(n), p);
}
Lanes Widen(__m256i v) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}
Lanes Load(const Bf16* p) {
  return Widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
Lanes LoadPart(const Bf16* p, int64_t n) {
  return Widen(_mm256_maskz_loadu_epi16(First(n), p));
}
void Store(Lanes v, float* p) { _mm512_storeu_ps(p, v); }
void StorePart(Lanes v, float* p, int64_t n) {
  _mm512_mask_storeu_ps(p, First(n), v);
}
void Store(Lanes v, Bf16* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), ToBf16(v));
}
void StorePart(Lanes v, Bf16* p, int64_t n) {
  _mm256_mask_storeu_epi16(p, First(n), ToBf16(v));
}
Lanes Set(float f) { return _mm512_set1_ps(f); }
Lanes Add(Lanes a, Lanes b) { return _mm512_add_ps(a, b); }
Lanes Sub(Lanes a, Lanes b) { return _mm512_sub_ps(a, b); }
Lanes Mul(Lanes a, Lanes b) { return _mm512_mul_ps(a, b); }
Lanes Fma(Lanes a, Lanes b, Lanes c) { return _mm512_fmadd_ps(a, b, c); }
Lanes Max(Lanes a, Lanes b) { return _mm512_max_ps(a, b); }
float Sum(Lanes v) { return _mm512_reduce_add_ps(v); }
float Max(Lanes v) { return _mm512_reduce_max_ps(v); }

#include "worker/ops/kernels.inc"

}  // namespace

const Kernels& Avx512Kernels() { return kKernels; }

}  // namespace evopress::worker
