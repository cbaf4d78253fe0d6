// worker/ops/vector_math.h
// Eight floats at a time. Written with AVX2 and explicit FMA, so that every
// processor and compiler gives the same bits; nothing here calls libm.
#ifndef EVOPRESS_WORKER_OPS_VECTOR_MATH_H_
#define EVOPRESS_WORKER_OPS_VECTOR_MATH_H_

#include <immintrin.h>

#include <bit>
#include <cstdint>

#include "worker/ops/arithmetic.h"

namespace evopress::worker {

// exp(x) for x <= 88, within 2 ulp; exactly 0 below -87.3.
inline __m256 Exp(__m256 x) {
  const __m256 n =
      _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504088896341f)),
                      _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  // ln 2 in two parts: the first has few enough bits for n * hi to be exact.
  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
  r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
  __m256 p = _mm256_set1_ps(1.0f / 720);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 120));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 24));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 6));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
  const __m256i exponent = _mm256_slli_epi32(
      _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  const __m256 value = _mm256_mul_ps(p, _mm256_castsi256_ps(exponent));
  const __m256 in_range = _mm256_cmp_ps(x, _mm256_set1_ps(-87.3f), _CMP_GE_OQ);
  return _mm256_and_ps(value, in_range);
}

inline float Exp(float x) { return _mm256_cvtss_f32(Exp(_mm256_set1_ps(x))); }

// Sums and maxima of the eight lanes, always in the same order.
inline float Sum(__m256 v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
inline float Max(__m256 v) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

// Rounds to the nearest bfloat16, ties to even. NaN is not preserved.
inline __m128i RoundToBf16(__m256 v) {
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i odd =
      _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_srli_epi32(
      _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))),
      16);
  const __m256i packed = _mm256_packus_epi32(rounded, rounded);
  return _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
}
inline Bf16 RoundToBf16(float v) {
  const uint32_t bits = std::bit_cast<uint32_t>(v);
  return static_cast<Bf16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
inline float FromBf16(Bf16 v) {
  return std::bit_cast<float>(static_cast<uint32_t>(v) << 16);
}

// Stores as whatever the matrix products read.
inline void Store(__m256 v, float* out) { _mm256_storeu_ps(out, v); }
inline void Store(__m256 v, Bf16* out) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), RoundToBf16(v));
}
inline void Store(float v, float* out) { *out = v; }
inline void Store(float v, Bf16* out) { *out = RoundToBf16(v); }

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_VECTOR_MATH_H_
