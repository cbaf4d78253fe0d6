#include "worker/ops/kernels.h"

#include "worker/ops/kernels_of.h"

namespace evopress::worker {

const Kernels& KernelsFor(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kBf16 ? Avx512Kernels() : Avx2Kernels();
}

}  // namespace evopress::worker
