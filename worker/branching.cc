#include "worker/branching.h"

#include <utility>

namespace evopress::worker {
namespace {

BlockBlobs BlobsOf(const BlockSpec& spec, const BlobOfLayer& choice) {
  BlockBlobs blobs(spec.linears.size());
  for (size_t slot = 0; slot < spec.linears.size(); ++slot) {
    const auto it = choice.find(spec.linears[slot].name);
    if (it != choice.end()) blobs[slot] = it->second;
  }
  return blobs;
}

}  // namespace

std::vector<Branch> BranchAt(const BlockSpec& spec,
                             absl::Span<const BlobOfLayer* const> choices,
                             const std::vector<std::vector<int>>& groups) {
  std::vector<Branch> branches;
  for (size_t parent = 0; parent < groups.size(); ++parent) {
    std::map<BlockBlobs, size_t> branch_of;
    for (const int choice : groups[parent]) {
      BlockBlobs blobs = BlobsOf(spec, *choices[choice]);
      const auto [it, inserted] = branch_of.emplace(blobs, branches.size());
      if (inserted) {
        branches.push_back(
            {static_cast<int>(parent), {}, std::move(blobs), false});
      }
      branches[it->second].choices.push_back(choice);
    }
    if (!groups[parent].empty()) branches.back().last = true;
  }
  return branches;
}

}  // namespace evopress::worker
