// Draws assignments that spend the steering budget as fully as possible, every
// exchange group its own share of it (group_shares.h).
#ifndef EVOPRESS_SEARCH_GROUPWISE_SAMPLER_H_
#define EVOPRESS_SEARCH_GROUPWISE_SAMPLER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "search/budget_sampler.h"
#include "search/cost_grid.h"
#include "search/group_shares.h"
#include "search/rng.h"
#include "search/space.h"

namespace evopress::search {

// Thread-safe once made. `space` must outlive it.
class GroupwiseSampler {
 public:
  // Tries with group shares before the groups are mixed.
  static constexpr int kMaxGroupTries = 8;

  // Weights and errors as of BudgetSampler::Make().
  static absl::StatusOr<GroupwiseSampler> Make(const SearchSpace& space,
                                               Options options,
                                               const Weights& weights = {});

  // What all shares have left over goes to any unit. If that still spends less
  // than can be spent at all, draws without regard to groups. Canonical.
  absl::StatusOr<Assignment> Draw(Rng& rng) const;

  // The two parts of Draw(): every group spends its own share, then what all
  // shares have left raises any units, whatever their weights.
  Assignment DrawShares(Rng& rng) const;
  absl::StatusOr<Assignment> SpendRest(const Assignment& drawn, Rng& rng) const;
  // Of DrawShares(), as BudgetSampler::Marginals().
  Weights Marginals() const;

 private:
  struct Group {
    std::vector<size_t> units;
    BudgetSampler sampler;
  };

  GroupwiseSampler(const SearchSpace& space, Options options,
                   BudgetSampler whole);

  const SearchSpace* space_;
  Options options_;
  BudgetSampler whole_;
  std::vector<Group> groups_;
  int64_t most_ = 0;  // cost of the fullest assignment
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_GROUPWISE_SAMPLER_H_
