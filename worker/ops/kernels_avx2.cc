#include <cstring>

#include "worker/ops/kernels_of.h"
#include "worker/ops/vector_math.h"

namespace evopress::worker {
namespace {

using Element = float;
using Lanes = __m256;
constexpr int64_t kLanes = 8;

using worker::Max;  // over the lanes

Lanes Load(const float* p) { return _mm256_loadu_ps(p); }
Lanes LoadPart(const float* p, int64_t n) {
  float lanes[kLanes] = {};
  std::memcpy(lanes, p, n * sizeof(float));
  return Load(lanes);
}
void StorePart(Lanes v, float* p, int64_t n) {
  float lanes[kLanes];
  Store(v, lanes);
  std::memcpy(p, lanes, n * sizeof(float));
}
Lanes Set(float f) { return _mm256_set1_ps(f); }
Lanes Add(Lanes a, Lanes b) { return _mm256_add_ps(a, b); }
Lanes Sub(Lanes a, Lanes b) { return _mm256_sub_ps(a, b); }
Lanes Mul(Lanes a, Lanes b) { return _mm256_mul_ps(a, b); }
Lanes Fma(Lanes a, Lanes b, Lanes c) { return _mm256_fmadd_ps(a, b, c); }
Lanes Max(Lanes a, Lanes b) { return _mm256_max_ps(a, b); }
Lanes Reciprocal(Lanes v) { return _mm256_div_ps(Set(1.0f), v); }

#include "worker/ops/kernels.inc"

}  // namespace

const Kernels& Avx2Kernels() { return kKernels; }

}  // namespace evopress::worker
