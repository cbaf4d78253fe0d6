// worker/ops/wide_math.h
// Sixteen floats at a time, for files compiled with AVX-512 only. Everything
// is static: code of these files must never be shared with others. Only
// instructions that all processors compute alike are used (no approximate
// reciprocals), nothing calls libm.
#ifndef EVOPRESS_WORKER_OPS_WIDE_MATH_H_
#define EVOPRESS_WORKER_OPS_WIDE_MATH_H_

#include <immintrin.h>

namespace evopress::worker {

// exp(x) for x <= 88, within 2 ulp; 0 where it would be subnormal.
static inline __m512 Exp(__m512 x) {
  const __m512 n = _mm512_roundscale_ps(
      _mm512_mul_ps(x, _mm512_set1_ps(1.44269504088896341f)),
      _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  // ln 2 in two parts: the first has few enough bits for n * hi to be exact.
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.0f / 720);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  const __mmask16 in_range =
      _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.3f), _CMP_GE_OQ);
  return _mm512_maskz_scalef_ps(in_range, p, n);
}

// 2^x for x <= 127, within 3e-6 of itself: for what is rounded to bfloat16
// (4e-3) in the end. 2^0 is 1 exactly.
static inline __m512 RoughExp2(__m512 x) {
  constexpr int kFractionAboveFloor = 0x09;
  const __m512 f = _mm512_reduce_ps(x, kFractionAboveFloor);
  __m512 p = _mm512_set1_ps(0.013426689f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.052242465f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.24128021f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.69304484f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, x);  // by 2^floor(x)
}

// 1 / v for 2^-126 < v < 2^126, within 2 ulp: Newton's steps from a guess by
// the exponent, faster than a division.
static inline __m512 Reciprocal(__m512 v) {
  const __m512 two = _mm512_set1_ps(2.0f);
  __m512 r = _mm512_castsi512_ps(
      _mm512_sub_epi32(_mm512_set1_epi32(0x7ef311c7), _mm512_castps_si512(v)));
  for (int i = 0; i < 3; ++i) {
    r = _mm512_mul_ps(r, _mm512_fnmadd_ps(v, r, two));
  }
  return r;
}

// To the nearest, ties to even; subnormals become 0.
static inline __m256i ToBf16(__m512 v) {
  return (__m256i)_mm512_cvtneps_pbh(v);
}
static inline __m512i ToBf16(__m512 low, __m512 high) {
  return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

// Rows become columns, 32 bits at a time.
static inline void Transpose(__m512i rows[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // rows[4g + c] holds columns c, c+4, c+8, c+12 of rows 4g … 4g+3.
  for (int c = 0; c < 4; ++c) {
    const __m512i low01 = _mm512_shuffle_i32x4(rows[c], rows[4 + c], 0x44);
    const __m512i high01 = _mm512_shuffle_i32x4(rows[c], rows[4 + c], 0xee);
    const __m512i low23 = _mm512_shuffle_i32x4(rows[8 + c], rows[12 + c], 0x44);
    const __m512i high23 =
        _mm512_shuffle_i32x4(rows[8 + c], rows[12 + c], 0xee);
    t[c] = _mm512_shuffle_i32x4(low01, low23, 0x88);
    t[c + 4] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
    t[c + 8] = _mm512_shuffle_i32x4(high01, high23, 0x88);
    t[c + 12] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
  }
  for (int i = 0; i < 16; ++i) rows[i] = t[i];
}

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_WIDE_MATH_H_
