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
#include "quant/checkpoint.h"
#include "worker/architecture.h"
#include "worker/ops/arithmetic.h"
#include "worker/ops/embedding.h"
#include "worker/ops/loss_head.h"
#include "worker/thread_arena.h"

namespace evopress::worker {

// Small tensors of a block; empty where the architecture has none. Norm
// weights are what is multiplied by (Gemma's 1 + w included).
struct BlockTensors {
  std::vector<float> attention_norm, query_norm, key_norm, post_attention_norm,
      mlp_norm, post_mlp_norm;
  std::vector<float> bias[kLinearSlots];
};

// Immutable once loaded.
struct Model {
  std::unique_ptr<quant::Checkpoint> checkpoint;
  Architecture architecture;
  Arithmetic arithmetic = Arithmetic::kF32;
  Embedding embedding;
  std::vector<BlockTensors> blocks;
  std::vector<float> final_norm;
  std::optional<LossHead> head;
};

// Opens the checkpoint at `path`. NotFound or InvalidArgument, naming the
// tensor, when one is missing or has an unexpected shape; otherwise as
// Checkpoint::Open and MakeArchitecture.
absl::StatusOr<Model> LoadModel(const std::string& path, Arithmetic arithmetic,
                                ThreadArena& arena);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_MODEL_H_
