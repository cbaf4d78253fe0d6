// worker/model.h
// A model as the cpu engine holds it: everything but the linear layers, which
// are prepared on demand (weight_cache.h).
#ifndef EVOPRESS_WORKER_MODEL_H_
#define EVOPRESS_WORKER_MODEL_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/model_tensors.h"
#include "worker/ops/arithmetic.h"
#include "worker/ops/embedding.h"
#include "worker/ops/loss_head.h"
#include "worker/ops/matmul.h"
#include "worker/thread_arena.h"

namespace evopress::worker {

// A model ready for the cpu engine. Immutable once loaded.
struct Model : ModelTensors {
  Arithmetic arithmetic = Arithmetic::kF32;
  Embedding embedding;
  std::optional<LossHead> head;
  // Of blocks with experts, float32: which expert a token goes to must not
  // hang on rounding.
  std::vector<std::shared_ptr<const PackedMatrix>> routers;
};

// As LoadTensors; ResourceExhausted if memory is short.
absl::StatusOr<Model> LoadModel(const std::string& path, Arithmetic arithmetic,
                                ThreadArena& arena);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_MODEL_H_
