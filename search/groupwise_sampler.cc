#include "search/groupwise_sampler.h"

#include <algorithm>
#include <utility>

namespace evopress::search {

absl::StatusOr<GroupwiseSampler> GroupwiseSampler::Make(
    const SearchSpace& space, Options options, const Weights& weights) {
  auto whole =
      BudgetSampler::Make(space, options, space.budgets[0].limit, weights);
  if (!whole.ok()) return whole.status();
  GroupwiseSampler made(space, std::move(options), *std::move(whole));
  Rng any(0);
  made.most_ = Cost(space, made.whole_.Draw(any), SteeringKind(space));
  for (const GroupShare& share : GroupShares(space)) {
    ShareProblem problem = Isolate(space, made.options_, share);
    Weights within;  // all other units have no choice
    if (!weights.empty()) {
      within.assign(space.units.size(), {1.0});
      for (size_t u : share.units) within[u] = weights[u];
    }
    auto sampler = BudgetSampler::Make(space, std::move(problem.options),
                                       problem.limit, std::move(within));
    if (!sampler.ok()) return sampler.status();
    made.groups_.push_back(Group{share.units, *std::move(sampler)});
  }
  return made;
}

GroupwiseSampler::GroupwiseSampler(const SearchSpace& space, Options options,
                                   BudgetSampler whole)
    : space_(&space), options_(std::move(options)), whole_(std::move(whole)) {}

absl::StatusOr<Assignment> GroupwiseSampler::Draw(Rng& rng) const {
  for (int tries = 0; tries < kMaxGroupTries; ++tries) {
    absl::StatusOr<Assignment> filled = SpendRest(DrawShares(rng), rng);
    if (!filled.ok()) return filled.status();
    if (Cost(*space_, *filled, SteeringKind(*space_)) >= most_) {
      return Canonical(*space_, *std::move(filled));
    }
  }
  return Canonical(*space_, whole_.Draw(rng));
}

Assignment GroupwiseSampler::DrawShares(Rng& rng) const {
  Assignment drawn;
  drawn.levels.resize(options_.size());
  for (const Group& group : groups_) {
    const Assignment part = group.sampler.Draw(rng);
    for (size_t u : group.units) drawn.levels[u] = part.levels[u];
  }
  return drawn;
}

Weights GroupwiseSampler::Marginals() const {
  Weights marginals(options_.size());
  for (const Group& group : groups_) {
    Weights part = group.sampler.Marginals();
    for (size_t u : group.units) marginals[u] = std::move(part[u]);
  }
  return marginals;
}

absl::StatusOr<Assignment> GroupwiseSampler::SpendRest(const Assignment& drawn,
                                                       Rng& rng) const {
  Options rest;
  for (size_t u = 0; u < options_.size(); ++u) {
    // What a group has chosen may rise, not fall.
    const auto chosen =
        std::find(options_[u].begin(), options_[u].end(), drawn.levels[u]);
    rest.emplace_back(chosen, options_[u].end());
  }
  auto sampler =
      BudgetSampler::Make(*space_, std::move(rest), space_->budgets[0].limit);
  if (!sampler.ok()) return sampler.status();
  return sampler->Draw(rng);
}

}  // namespace evopress::search
