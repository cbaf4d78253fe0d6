// worker/branching.h
// Which assignments still agree: those that have used the same blobs, that of
// the embedding included, and dropped the same modules up to a block share
// their hidden states until they part.
#ifndef EVOPRESS_WORKER_BRANCHING_H_
#define EVOPRESS_WORKER_BRANCHING_H_

#include <compare>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "worker/architecture.h"
#include "worker/evaluator.h"

namespace evopress::worker {

// What a block runs with. Equal ones give equal outputs.
struct BlockChoice {
  // Of each linear layer; empty for the model's own weights and in modules that
  // are dropped.
  std::vector<std::string> blobs;
  bool attention = true;  // false: dropped
  bool mlp = true;

  // True if the linear layer is in a module that is run.
  bool Runs(size_t slot) const { return slot < kGate ? attention : mlp; }
  auto operator<=>(const BlockChoice&) const = default;
};

// Choices that go through a block in the same way from the same state.
struct Branch {
  int parent = 0;            // index of the group they come from
  std::vector<int> choices;  // indices into `choices`, rising
  BlockChoice block;
  bool last = false;  // no later branch has this parent
};

// The blobs of the embedding and the head, the same when tied; empty for the
// model's own weights.
std::string EmbeddingBlob(const Architecture& architecture,
                          const WeightChoice& choice);
std::string HeadBlob(const Architecture& architecture,
                     const WeightChoice& choice);

// Splits `groups` (each rising indices into `choices`) at a block, in order.
std::vector<Branch> BranchAt(const BlockSpec& spec,
                             absl::Span<const WeightChoice* const> choices,
                             const std::vector<std::vector<int>>& groups);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_BRANCHING_H_
