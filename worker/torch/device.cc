#include "worker/torch/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/InferenceMode.h>
#include <torch/version.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <limits>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#ifdef EVOPRESS_TORCH_CUDA
#include <ATen/cuda/CUDAContext.h>
#endif

namespace evopress::worker {
namespace {

constexpr int kEngineVersion = 1;

// Numbers that depend on what else runs, or on the time of day, would make
// measurements of one numeric class differ.
void MakeDeterministic() {
  // cuBLAS is deterministic only with a workspace of its own; it reads this
  // when it is first used.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  context.setDeterministicFillUninitializedMemory(false);
  context.setBenchmarkCuDNN(false);
  context.setAllowTF32CuBLAS(false);
  context.setAllowTF32CuDNN(false);
  at::set_num_threads(1);
}

// What libtorch's kernels and the oneDNN inside choose by.
std::string CpuName() {
  const char* const products = __builtin_cpu_supports("amx-bf16")     ? "amx"
                               : __builtin_cpu_supports("avx512bf16") ? "bf16"
                                                                      : "f32";
  return absl::StrCat("cpu-", absl::AsciiStrToLower(at::get_cpu_capability()),
                      "-", products);
}

}  // namespace

absl::StatusOr<TorchDevice> OpenTorchDevice(const TorchOptions& options) {
  TorchDevice device;
  if (options.precision == "f32") {
    device.type = at::kFloat;
  } else if (options.precision != "bf16") {
    return absl::InvalidArgumentError(absl::StrCat(
        "precision \"", options.precision, "\" is unknown; use bf16 or f32"));
  }
  absl::Status status = CatchTorch([&] {
    MakeDeterministic();
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  status = CatchTorch([&]() -> absl::Status {
    device.device = at::Device(options.device);
    return absl::OkStatus();
  });
  if (!status.ok() || !(device.device.is_cpu() || device.device.is_cuda())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "device \"", options.device, "\" is unknown; use cpu, cuda or cuda:N"));
  }
  // The first use finds out whether the device is really there.
  status = CatchTorch([&] {
    at::zeros({1}, device.Options(at::kFloat)).add_(1).item<float>();
    return absl::OkStatus();
  });
  if (!status.ok()) {
    return absl::UnavailableError(absl::StrCat(
        "device \"", options.device, "\" cannot be used: ", status.message()));
  }
  return device;
}

std::string TorchNumericClass(const TorchDevice& device) {
  std::string where = CpuName();
#ifdef EVOPRESS_TORCH_CUDA
  if (device.device.is_cuda()) {
    const auto* properties = at::cuda::getDeviceProperties(
        device.device.has_index() ? device.device.index() : 0);
    where = absl::StrCat("cuda-sm_", properties->major, properties->minor);
  }
#endif
  return absl::StrCat("torch-", kEngineVersion,
                      device.type == at::kFloat ? ":f32:" : ":bf16:", where,
                      ":", TORCH_VERSION);
}

absl::Status CatchTorch(const std::function<absl::Status()>& work) {
  try {
    return work();
  } catch (const c10::OutOfMemoryError& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("torch: ", error.what_without_backtrace()));
  } catch (const c10::Error& error) {
    return absl::InternalError(
        absl::StrCat("torch: ", error.what_without_backtrace()));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("torch: ", error.what()));
  }
}

absl::Status ForEachAlone(int threads, int64_t n,
                          const std::function<absl::Status(int64_t)>& work) {
  std::mutex mutex;
  absl::Status first_error;  // guarded by mutex
  std::atomic<int64_t> failed = std::numeric_limits<int64_t>::max();
  std::atomic<int64_t> next = 0;
  const auto run = [&] {
    const c10::InferenceMode inference;
    at::init_num_threads();
    for (int64_t i = next++; i < n && i < failed; i = next++) {
      absl::Status status = CatchTorch([&] { return work(i); });
      if (status.ok()) continue;
      const std::lock_guard<std::mutex> lock(mutex);
      if (i >= failed) continue;
      failed = i;
      first_error = std::move(status);
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < std::min<int64_t>(threads, n); ++t) {
    others.emplace_back(run);
  }
  run();
  for (std::thread& thread : others) thread.join();
  return first_error;
}

}  // namespace evopress::worker
