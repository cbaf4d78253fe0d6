// worker/ops/kernels.h
// The engine's inner loops over floats, once per instruction set: 16 at a time
// with AVX-512 where products read bfloat16, 8 at a time with AVX2 where they
// read float32. The loops are in kernels.inc; kernels_avx512.cc and
// kernels_avx2.cc compile them.
//
// "Operands" are values as the matrix products read them: Bf16 with AVX-512,
// float with AVX2. Every sum is added up in an order that depends on n alone.
#ifndef EVOPRESS_WORKER_OPS_KERNELS_H_
#define EVOPRESS_WORKER_OPS_KERNELS_H_

#include <cstdint>

#include "worker/ops/activation.h"
#include "worker/ops/arithmetic.h"

namespace evopress::worker {

// Pointers need no alignment. `in` and `out` may be the same where both are
// float.
struct Kernels {
  // out[r][i] = in[r][i] / sqrt(mean(in[r]^2) + epsilon) * weight[i] for
  // `rows` rows of n values (arXiv 1910.07467), as operands or as floats.
  void (*rms_norm)(const float* in, const float* weight, float epsilon,
                   int64_t rows, int64_t n, void* out);
  void (*rms_norm_floats)(const float* in, const float* weight, float epsilon,
                          int64_t rows, int64_t n, float* out);
  // sum[i] += delta[i].
  void (*add)(const float* delta, int64_t n, float* sum);
  // out[r][i] = f(gate[r][i]) * up[r][i] as operands (arXiv 2002.05202), for
  // `rows` rows of n values; those of `out` begin `stride` values apart.
  void (*gate)(Activation activation, const float* gate, const float* up,
               int64_t rows, int64_t n, int64_t stride, void* out);
  // -infinity of none.
  float (*max)(const float* x, int64_t n);
  // The sum of exp(x[i] - shift). REQUIRES: x[i] - shift <= 88.
  float (*sum_exp)(const float* x, int64_t n, float shift);
  // The same sum, bit for bit, and its summands as operands.
  float (*exp_operands)(const float* x, int64_t n, float shift, void* out);
  // The sum of exp(a[i] - shift) * (a[i] - b[i]).
  float (*mean_difference)(const float* a, const float* b, int64_t n,
                           float shift);
  // a . (b - c), b and c operands.
  float (*dot_difference)(const float* a, const void* b, const void* c,
                          int64_t n);
};

// The loops that go with `arithmetic`. The processor must have it.
const Kernels& KernelsFor(Arithmetic arithmetic);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_KERNELS_H_
