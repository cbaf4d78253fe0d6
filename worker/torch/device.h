// Where and in which arithmetic the torch engine computes, and how its work is
// spread over threads.
#ifndef EVOPRESS_WORKER_TORCH_DEVICE_H_
#define EVOPRESS_WORKER_TORCH_DEVICE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace evopress::worker {

struct TorchOptions {
  std::string device = "cpu";      // "cpu", "cuda", "cuda:1" (ROCm too)
  std::string precision = "bf16";  // "bf16" or "f32": what products read
  int64_t device_memory = 0;       // bound of what is kept; 0: the worker's
};

struct TorchDevice {
  at::Device device = at::kCPU;
  at::ScalarType type = at::kBFloat16;

  at::TensorOptions Options(at::ScalarType dtype) const {
    return at::TensorOptions().device(device).dtype(dtype);
  }
};

// Picks the device and makes libtorch deterministic there. InvalidArgument for
// a name or precision it does not know, Unavailable if this machine or build
// has no such device.
absl::StatusOr<TorchDevice> OpenTorchDevice(const TorchOptions& options);

// "torch-1:bf16:cpu-avx512-bf16:2.15.0", "torch-1:bf16:cuda-sm_90:2.15.0".
std::string TorchNumericClass(const TorchDevice& device);

// Runs `work`, turning what libtorch throws into a Status: ResourceExhausted
// when memory is short, else Internal.
absl::Status CatchTorch(const std::function<absl::Status()>& work);

// Calls work(0) … work(n-1) in inference mode, on so many threads that each
// runs libtorch's kernels alone: their rounding then cannot depend on how many
// there are. The error of the lowest index that failed.
absl::Status ForEachAlone(int threads, int64_t n,
                          const std::function<absl::Status(int64_t)>& work);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_TORCH_DEVICE_H_
