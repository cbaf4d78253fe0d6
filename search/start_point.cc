#include "search/start_point.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "search/cost_grid.h"
#include "search/group_shares.h"
#include "search/groupwise_sampler.h"
#include "search/knapsack.h"
#include "search/rng.h"
#include "search/uniform.h"

namespace evopress::search {
namespace {

// The uniform assignment that spends the budget exactly, or all of what can be
// spent.
std::optional<Assignment> ExactUniform(const SearchSpace& space) {
  const absl::StatusOr<UniformAssignment> best = DearestUniform(space);
  if (!best.ok()) return std::nullopt;
  const int kind = SteeringKind(space);
  const int64_t target =
      std::min(space.budgets[0].limit, ReachableCosts(space, kind).max);
  if (best->cost != target) return std::nullopt;
  return best->assignment;
}

// Round down or up, nothing else.
Options BracketOptions(const UniformBracket& bracket) {
  Options options;
  for (size_t u = 0; u < bracket.floor.assignment.levels.size(); ++u) {
    const uint16_t low = bracket.floor.assignment.levels[u];
    const uint16_t high = bracket.ceiling.assignment.levels[u];
    options.push_back(low < high ? std::vector{low, high} : std::vector{low});
  }
  return options;
}

}  // namespace

bool StartIsFractional(const SearchSpace& space) {
  return !ExactUniform(space).has_value();
}

absl::StatusOr<std::vector<Assignment>> StartCandidates(
    const SearchSpace& space, int count, uint64_t seed) {
  if (std::optional<Assignment> exact = ExactUniform(space)) {
    return std::vector<Assignment>{*std::move(exact)};
  }
  const std::optional<UniformBracket> bracket = FindBracket(space);
  const absl::StatusOr<GroupwiseSampler> sampler = GroupwiseSampler::Make(
      space, bracket ? BracketOptions(*bracket) : AllOptions(space));
  if (!sampler.ok()) return sampler.status();
  std::vector<Assignment> candidates;
  std::set<Assignment> seen;
  for (int slot = 0; slot < count; ++slot) {
    Rng rng(seed, 0, static_cast<uint32_t>(slot));
    for (int tries = 0; tries < kMaxTriesPerStart; ++tries) {
      absl::StatusOr<Assignment> drawn = sampler->Draw(rng);
      if (!drawn.ok()) return drawn.status();
      if (!WithinBudgets(space, *drawn) || !seen.insert(*drawn).second) {
        continue;
      }
      candidates.push_back(*std::move(drawn));
      break;
    }
  }
  if (!candidates.empty()) return candidates;
  // Random ones break another budget: what spends the most of the steering
  // budget that the others let it.
  const int kind = SteeringKind(space);
  std::vector<std::vector<double>> unspent;
  for (const Unit& unit : space.units) {
    std::vector<double>& levels = unspent.emplace_back();
    for (const LevelChoice& level : unit.menu) {
      levels.push_back(-static_cast<double>(level.costs[kind]));
    }
  }
  absl::StatusOr<Assignment> fullest = SolveKnapsack(space, unspent);
  if (fullest.ok()) return std::vector<Assignment>{*std::move(fullest)};
  absl::StatusOr<UniformAssignment> uniform = DearestUniform(space);
  if (!uniform.ok()) return fullest.status();
  return std::vector<Assignment>{std::move(uniform->assignment)};
}

}  // namespace evopress::search
