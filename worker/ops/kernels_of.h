// worker/ops/kernels_of.h
// Where each instruction set's loops are. Private to kernels*.cc.
#ifndef EVOPRESS_WORKER_OPS_KERNELS_OF_H_
#define EVOPRESS_WORKER_OPS_KERNELS_OF_H_

#include "worker/ops/kernels.h"

namespace evopress::worker {

const Kernels& Avx2Kernels();
const Kernels& Avx512Kernels();

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_KERNELS_OF_H_
