// worker/ops/activation.h
#ifndef EVOPRESS_WORKER_OPS_ACTIVATION_H_
#define EVOPRESS_WORKER_OPS_ACTIVATION_H_

namespace evopress::worker {

// Of the gate of an MLP (arXiv 2002.05202).
enum class Activation {
  kSilu,      // x / (1 + exp(-x))
  kGeluTanh,  // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_ACTIVATION_H_
