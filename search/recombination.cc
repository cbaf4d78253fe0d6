#include "search/recombination.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "search/budget_sampler.h"
#include "search/cost_grid.h"
#include "search/group_shares.h"

namespace evopress::search {
namespace {

// One of `options`, every group spending what it spends in `parent`.
absl::StatusOr<Assignment> DrawAlike(const SearchSpace& space,
                                     const Assignment& parent,
                                     const Options& options, Rng& rng) {
  Assignment child = parent;
  for (GroupShare& share : GroupShares(space)) {
    share.limit = Spent(space, share, parent);
    ShareProblem problem = Isolate(space, options, share);
    const absl::StatusOr<BudgetSampler> sampler =
        BudgetSampler::Make(space, std::move(problem.options), problem.limit);
    if (!sampler.ok()) return sampler.status();
    const Assignment part = sampler->Draw(rng);
    for (size_t u : share.units) child.levels[u] = part.levels[u];
  }
  return Canonical(space, std::move(child));
}

}  // namespace

absl::StatusOr<Assignment> Crossover(const SearchSpace& space,
                                     const Assignment& first,
                                     const Assignment& second, Rng& rng) {
  Options options;
  for (size_t u = 0; u < space.units.size(); ++u) {
    // What lies in a dropped module is nobody's gene.
    if (!IsActive(space, first, u) || !IsActive(space, second, u)) {
      options.push_back(
          {IsActive(space, first, u) ? first.levels[u] : second.levels[u]});
      continue;
    }
    const auto [low, high] = std::minmax(first.levels[u], second.levels[u]);
    options.push_back({low});
    if (high != low) options.back().push_back(high);
  }
  return DrawAlike(space, first, options, rng);
}

absl::StatusOr<Assignment> Mutate(const SearchSpace& space,
                                  const Assignment& parent, double rate,
                                  Rng& rng) {
  Options options = AllOptions(space);
  for (size_t u = 0; u < options.size(); ++u) {
    const bool stays = rng.Uniform() >= rate;
    if (stays && IsActive(space, parent, u)) options[u] = {parent.levels[u]};
  }
  return DrawAlike(space, parent, options, rng);
}

}  // namespace evopress::search
