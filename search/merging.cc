#include "search/merging.h"

#include <cstddef>
#include <utility>

#include "search/trust_region.h"

namespace evopress::search {

absl::StatusOr<Assignment> Merge(const SearchSpace& space,
                                 const Assignment& base,
                                 const std::vector<Assignment>& winners,
                                 const Belief& belief) {
  Assignment merged = base;
  for (const Assignment& winner : winners) {
    const Assignment filled = FillInactive(space, winner, base.levels);
    for (size_t u = 0; u < merged.levels.size(); ++u) {
      if (merged.levels[u] == base.levels[u])
        merged.levels[u] = filled.levels[u];
    }
  }
  if (WithinBudgets(space, merged)) return Canonical(space, std::move(merged));
  return SolveWithinReach(space, belief.Around(merged), merged, /*reach=*/0);
}

}  // namespace evopress::search
