// The torch engine behind the evaluator seam.
#ifndef EVOPRESS_WORKER_TORCH_EVALUATOR_H_
#define EVOPRESS_WORKER_TORCH_EVALUATOR_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "worker/evaluator.h"
#include "worker/torch/device.h"

namespace evopress::worker {

// Opens the model at `path` on a device. As OpenLocalEvaluator; device_memory
// of `torch`, where set, takes the place of options.memory_bytes, and on a GPU
// options.threads counts for nothing.
absl::StatusOr<std::unique_ptr<Evaluator>> OpenTorchEvaluator(
    const std::string& path, const EvaluatorOptions& options,
    const TorchOptions& torch);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_TORCH_EVALUATOR_H_
