// worker/branching.h
// Which assignments still agree: those that have used the same blobs up to a
// block share their hidden states until they part.
#ifndef EVOPRESS_WORKER_BRANCHING_H_
#define EVOPRESS_WORKER_BRANCHING_H_

#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "worker/architecture.h"

namespace evopress::worker {

// Blob path of each layer; layers without an entry keep the model's weights.
using BlobOfLayer = std::map<std::string, std::string>;

// Blob of each linear layer of a block, empty for the model's own weights.
using BlockBlobs = std::vector<std::string>;

// Choices that go through a block with the same blobs from the same state.
struct Branch {
  int parent = 0;            // index of the group they come from
  std::vector<int> choices;  // indices into `choices`, rising
  BlockBlobs blobs;
  bool last = false;  // no later branch has this parent
};

// Splits `groups` (each rising indices into `choices`) at a block, in order.
std::vector<Branch> BranchAt(const BlockSpec& spec,
                             absl::Span<const BlobOfLayer* const> choices,
                             const std::vector<std::vector<int>>& groups);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_BRANCHING_H_
