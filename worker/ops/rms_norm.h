// worker/ops/rms_norm.h
// Root mean square normalization (arXiv 1910.07467).
#ifndef EVOPRESS_WORKER_OPS_RMS_NORM_H_
#define EVOPRESS_WORKER_OPS_RMS_NORM_H_

#include <cstdint>

#include "worker/ops/arithmetic.h"

namespace evopress::worker {

// out[r][i] = in[r][i] / sqrt(mean(in[r]^2) + epsilon) * weight[i] for `rows`
// rows of n values that lie `stride` values apart, in `in` and in `out`.
// Element is float or Bf16; `in` and `out` may be the same.
template <typename Element>
void RmsNorm(const float* in, const float* weight, float epsilon, int64_t rows,
             int64_t n, int64_t stride, Element* out);

// hidden[i] += delta[i].
void AddResidual(const float* delta, int64_t n, float* hidden);

// out[r][i] += bias[i].
void AddBias(const float* bias, int64_t rows, int64_t n, float* out);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_RMS_NORM_H_
