#include "search/descent.h"

#include <cstdint>

#include "search/greedy.h"
#include "search/knapsack.h"
#include "search/probes.h"

namespace evopress::search {
namespace {

// What is left to save after a step, of what was left before.
constexpr int64_t kLeftParts = 2, kParts = 3;

}  // namespace

absl::StatusOr<Assignment> StepDown(const SearchSpace& space,
                                    const Effects& effects,
                                    const Assignment& from, bool last) {
  if (!last) {
    SearchSpace nearer = space;
    for (Budget& budget : nearer.budgets) {
      const int64_t left = Cost(space, from, budget.kind) - budget.limit;
      if (left <= 0) continue;
      budget.limit +=
          left / kParts * kLeftParts + left % kParts * kLeftParts / kParts;
    }
    absl::StatusOr<Assignment> found = SolveKnapsack(nearer, effects);
    if (found.ok() && *found != from) return found;
  }
  return SolveKnapsack(space, effects);
}

absl::StatusOr<Assignment> DropByScore(const SearchSpace& space,
                                       const Measured& measured,
                                       const std::vector<int32_t>& samples) {
  const Assignment dearest = Dearest(space);
  Effects damage;
  for (const Unit& unit : space.units) {
    damage.emplace_back(unit.menu.size(), measured.Mean(dearest, samples));
  }
  for (const auto& [module, probe] : ProbesOfModules(space, dearest)) {
    damage[module][kDropped] = measured.Mean(probe, samples);
  }
  return Descend(space, damage);
}

}  // namespace evopress::search
