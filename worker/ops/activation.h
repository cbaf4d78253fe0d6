// worker/ops/activation.h
// Gated activations of the MLP (arXiv 2002.05202).
#ifndef EVOPRESS_WORKER_OPS_ACTIVATION_H_
#define EVOPRESS_WORKER_OPS_ACTIVATION_H_

#include <cstdint>

#include "worker/ops/arithmetic.h"

namespace evopress::worker {

enum class Activation {
  kSilu,      // x / (1 + exp(-x))
  kGeluTanh,  // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
};

// out[i] = f(gate[i]) * up[i]. Element is float or Bf16.
template <typename Element>
void GatedActivation(Activation activation, const float* gate, const float* up,
                     int64_t n, Element* out);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_ACTIVATION_H_
