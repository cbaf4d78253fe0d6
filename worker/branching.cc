#include "worker/branching.h"

#include <map>
#include <utility>

namespace evopress::worker {
namespace {

BlockChoice ChoiceOf(const BlockSpec& spec, const WeightChoice& choice) {
  BlockChoice block;
  block.attention = !choice.dropped.contains(spec.attention);
  block.mlp = !choice.dropped.contains(spec.mlp);
  block.blobs.resize(spec.linears.size());
  for (size_t slot = 0; slot < spec.linears.size(); ++slot) {
    if (!block.Runs(slot)) continue;
    const auto it = choice.blob_of_layer.find(spec.linears[slot].name);
    if (it != choice.blob_of_layer.end()) block.blobs[slot] = it->second;
  }
  return block;
}

std::string BlobOf(const std::string& layer, const WeightChoice& choice) {
  const auto it = choice.blob_of_layer.find(layer);
  return it == choice.blob_of_layer.end() ? "" : it->second;
}

}  // namespace

std::string EmbeddingBlob(const Architecture& architecture,
                          const WeightChoice& choice) {
  return BlobOf(EmbeddingLayer(architecture).name, choice);
}

std::string HeadBlob(const Architecture& architecture,
                     const WeightChoice& choice) {
  return BlobOf(HeadLayer(architecture).name, choice);
}

std::vector<Branch> BranchAt(const BlockSpec& spec,
                             absl::Span<const WeightChoice* const> choices,
                             const std::vector<std::vector<int>>& groups) {
  std::vector<Branch> branches;
  for (size_t parent = 0; parent < groups.size(); ++parent) {
    std::map<BlockChoice, size_t> branch_of;
    for (const int choice : groups[parent]) {
      BlockChoice block = ChoiceOf(spec, *choices[choice]);
      const auto [it, inserted] = branch_of.emplace(block, branches.size());
      if (inserted) {
        branches.push_back(
            {static_cast<int>(parent), {}, std::move(block), false});
      }
      branches[it->second].choices.push_back(choice);
    }
    if (!groups[parent].empty()) branches.back().last = true;
  }
  return branches;
}

}  // namespace evopress::worker
