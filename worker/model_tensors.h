// worker/model_tensors.h
// What every engine keeps of a model as it is: the architecture, the open
// checkpoint and the small tensors.
#ifndef EVOPRESS_WORKER_MODEL_TENSORS_H_
#define EVOPRESS_WORKER_MODEL_TENSORS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "quant/checkpoint.h"
#include "worker/architecture.h"

namespace evopress::worker {

// Small tensors of a block; empty where the architecture has none. Norm
// weights are what is multiplied by (Gemma's 1 + w included).
struct BlockTensors {
  std::vector<float> attention_norm, query_norm, key_norm, post_attention_norm,
      mlp_norm, post_mlp_norm;
  std::vector<std::vector<float>> bias;  // of each linear
  std::vector<float> router;             // experts x hidden
};

// Immutable once loaded.
struct ModelTensors {
  std::unique_ptr<quant::Checkpoint> checkpoint;
  Architecture architecture;
  std::vector<BlockTensors> blocks;
  std::vector<float> final_norm;
};

// Opens the checkpoint at `path`. NotFound or InvalidArgument, naming the
// tensor, when one is missing or has an unexpected shape; otherwise as
// Checkpoint::Open and MakeArchitecture.
absl::StatusOr<ModelTensors> LoadTensors(const std::string& path);

// Reads a tensor that must have exactly this shape.
absl::StatusOr<std::vector<float>> ReadTensor(
    const quant::Checkpoint& checkpoint, const std::string& name,
    const std::vector<int64_t>& shape);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_MODEL_TENSORS_H_
