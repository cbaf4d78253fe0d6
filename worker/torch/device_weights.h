// Linear layers on the device: levels travel packed and are unpacked there.
#ifndef EVOPRESS_WORKER_TORCH_DEVICE_WEIGHTS_H_
#define EVOPRESS_WORKER_TORCH_DEVICE_WEIGHTS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "quant/packed_weight.h"
#include "worker/model_tensors.h"
#include "worker/torch/device.h"
#include "worker/torch/lru_cache.h"

namespace evopress::worker {

// The weight that quant::Unpack defines, bit for bit, as float32 on `device`.
at::Tensor UnpackOnDevice(const quant::PackedWeight& weight,
                          const TorchDevice& device);

// Thread-safe. "model" must outlive this.
class DeviceWeights {
 public:
  DeviceWeights(const ModelTensors& model, const TorchDevice& device,
                int64_t limit_bytes)
      : model_(model), device_(device), cache_(limit_bytes) {}

  // rows x cols in the device's element type. The layer's own weights when
  // `blob` is empty. InvalidArgument, naming layer and blob, for a blob of
  // another shape. Call where libtorch may throw (CatchTorch).
  absl::StatusOr<at::Tensor> Get(const LinearSpec& linear,
                                 const std::string& blob);

 private:
  using Key = std::pair<std::string, std::string>;  // layer, blob

  absl::StatusOr<at::Tensor> Load(const LinearSpec& linear,
                                  const std::string& blob) const;

  const ModelTensors& model_;
  const TorchDevice device_;
  LruCache<Key, at::Tensor> cache_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_TORCH_DEVICE_WEIGHTS_H_
