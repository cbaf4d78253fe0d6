// A transformer block over one sequence, by the same architecture data as the
// cpu engine's (worker/architecture.h).
#ifndef EVOPRESS_WORKER_TORCH_BLOCK_H_
#define EVOPRESS_WORKER_TORCH_BLOCK_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "worker/model_tensors.h"
#include "worker/torch/device.h"

namespace evopress::worker {

// What the linear layers of a site read: tokens x n in the element type.
using SiteObserver = std::function<void(int site, const at::Tensor&)>;

// x / rms(x) * weight over the last dimension, in float32.
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight,
                   double epsilon);

// Of a block's linears, in their order. A module that is false is left out; its
// weights are undefined.
struct TorchBlockWeights {
  std::vector<at::Tensor> linears;
  bool attention = true;
  bool mlp = true;
};

// Small tensors and rotation tables on the device. Run may be called from
// several threads at once; Reserve may not run beside it. "model" must outlive
// this. Methods throw what libtorch throws.
class TorchBlocks {
 public:
  TorchBlocks(const ModelTensors& model, const TorchDevice& device);

  // Makes the tables long enough for sequences of `tokens`.
  void Reserve(int64_t tokens);

  // `hidden` is tokens x hidden float32; returns the same after `block`.
  // `observer` may be empty.
  at::Tensor Run(int block, const at::Tensor& hidden,
                 const TorchBlockWeights& weights,
                 const SiteObserver& observer) const;

 private:
  struct Tensors {
    at::Tensor attention_norm, query_norm, key_norm, post_attention_norm,
        mlp_norm, post_mlp_norm;   // undefined where there is none
    std::vector<at::Tensor> bias;  // of each linear, undefined without one
    at::Tensor router;             // experts x hidden
  };
  struct Rotation {
    at::Tensor cos, sin;  // positions x dims/2, float32
  };

  at::Tensor Attend(const BlockSpec& spec, const Tensors& tensors,
                    const at::Tensor& input,
                    const std::vector<at::Tensor>& weights) const;
  at::Tensor Rotate(const BlockSpec& spec, const at::Tensor& x) const;
  at::Tensor Experts(const BlockSpec& spec, const Tensors& tensors,
                     const at::Tensor& input,
                     const std::vector<at::Tensor>& weights,
                     const SiteObserver& observer) const;
  at::Tensor Gated(const Tensors& tensors, int expert, const at::Tensor& input,
                   const std::vector<at::Tensor>& weights,
                   const SiteObserver& observer) const;
  at::Tensor Linear(const Tensors& tensors, int slot,
                    const std::vector<at::Tensor>& weights,
                    const at::Tensor& input) const;

  const ModelTensors& model_;
  const TorchDevice device_;
  std::vector<Tensors> blocks_;
  std::vector<Rotation> rotations_;
  int64_t positions_ = 0;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_TORCH_BLOCK_H_
