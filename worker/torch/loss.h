// The losses of worker/ops/loss_head.h on a torch device.
#ifndef EVOPRESS_WORKER_TORCH_LOSS_H_
#define EVOPRESS_WORKER_TORCH_LOSS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>

#include "search/strategy.h"
#include "worker/torch/device.h"

namespace evopress::worker {

// What is known of the uncompressed model on a sample of n tokens, at its
// first n - 1 positions.
struct TorchTeacher {
  at::Tensor final;       // x hidden, float32, rounded as products read it
  at::Tensor mean_rows;   // x hidden: W^T p
  at::Tensor log_sum;     // float64
  at::Tensor top;         // x k token ids
  at::Tensor top_logits;  // x k, float32

  int64_t bytes() const;
};

// Immutable; methods may run in several threads at once and throw what
// libtorch throws. Logits are made in float32, some thousand tokens at a time.
class TorchLoss {
 public:
  // `head`: vocab x hidden in the device's element type. softcap 0: none.
  TorchLoss(at::Tensor head, float softcap, int32_t top_k,
            const TorchDevice& device)
      : head_(std::move(head)),
        softcap_(softcap),
        top_k_(top_k),
        device_(device) {}

  // `final`: hidden states after the final norm, n x hidden float32.
  TorchTeacher Teach(const at::Tensor& final) const;

  // Sums over the positions of `tokens` (n ids).
  // `head` is the student's: undefined for the teacher's own.
  search::SampleSums Compare(const TorchTeacher& teacher,
                             const at::Tensor& final, const at::Tensor& tokens,
                             const at::Tensor& head = {}) const;

 private:
  // Calls use(first token id, logits) for each part of the vocabulary.
  void ForEachPart(
      const at::Tensor& head, const at::Tensor& final,
      const std::function<void(int64_t, const at::Tensor&)>& use) const;
  at::Tensor Rounded(const at::Tensor& final) const;

  at::Tensor head_;
  float softcap_;
  int32_t top_k_;
  TorchDevice device_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_TORCH_LOSS_H_
