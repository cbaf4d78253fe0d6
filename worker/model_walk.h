// worker/model_walk.h
// Walks a model block by block with many weight choices at once. Choices that
// agree so far share one hidden state: a prefix tree over the blocks.
#ifndef EVOPRESS_WORKER_MODEL_WALK_H_
#define EVOPRESS_WORKER_MODEL_WALK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "worker/block_runner.h"
#include "worker/branching.h"
#include "worker/model.h"
#include "worker/thread_arena.h"
#include "worker/weight_cache.h"

namespace evopress::worker {

// The samples' hidden states, one after the other, each PaddedRows long.
using HiddenStates = AlignedVector<float>;

// The choices (indices into the walk's) that share `hidden`.
struct WalkState {
  std::vector<int> choices;
  HiddenStates hidden;
};

// Called before each block with its index; false cancels the walk.
using BlockProgress = std::function<bool(int)>;

// Runs every choice over every sample and leaves in `out` the hidden states
// after the last block (before the final norm), the state of the lowest choice
// first. `share_prefixes` false computes each choice by itself, with the same
// bits: for tests. Cancelled if `progress` says so.
absl::Status WalkModel(const Model& model, ThreadArena& arena,
                       BlockRunner& runner, WeightCache& weights,
                       absl::Span<const WeightChoice* const> choices,
                       absl::Span<const std::vector<int32_t>* const> samples,
                       bool share_prefixes, const BlockProgress& progress,
                       std::vector<WalkState>& out);

// Rows of `samples` together, each padded to panels.
int64_t TotalRows(absl::Span<const std::vector<int32_t>* const> samples);

// The embeddings of all samples; padding rows are zero.
HiddenStates Embed(const Model& model,
                   absl::Span<const std::vector<int32_t>* const> samples);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_MODEL_WALK_H_
