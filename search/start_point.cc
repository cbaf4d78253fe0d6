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

// A budget beyond the first that only modules pay for and that binds, or 0.
size_t ModuleBudget(const SearchSpace& space) {
  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  for (size_t b = 1; b < space.budgets.size(); ++b) {
    const int kind = space.budgets[b].kind;
    bool theirs = ReachableCosts(space, kind).max > space.budgets[b].limit;
    for (size_t u = 0; u < space.units.size(); ++u) {
      if (members[u].empty()) {
        for (const LevelChoice& level : space.units[u].menu) {
          theirs = theirs && level.costs[kind] == 0;
        }
      }
    }
    if (theirs) return b;
  }
  return 0;
}

// The same space with nothing but modules to choose, under one budget.
SearchSpace ModulesAlone(SearchSpace space, size_t budget) {
  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (members[u].empty()) space.units[u].menu.resize(1);
  }
  space.budgets = {space.budgets[budget]};
  return space;
}

// What dropping modules as in `modules` leaves: a space without modules, of the
// units whose indices go to `left`.
SearchSpace WhatIsLeft(const SearchSpace& space, const Assignment& modules,
                       std::vector<size_t>& left) {
  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  SearchSpace plain{space.cost_kinds, space.constant_costs, {}, space.budgets};
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (!members[u].empty()) {
      const std::vector<int64_t>& costs =
          space.units[u].menu[modules.levels[u]].costs;
      for (size_t k = 0; k < costs.size(); ++k) {
        plain.constant_costs[k] += costs[k];
      }
    } else if (IsActive(space, modules, u)) {
      left.push_back(u);
      plain.units.push_back(space.units[u]);
      plain.units.back().module = kNoModule;
    }
  }
  return plain;
}

absl::StatusOr<std::vector<Assignment>> ModulesFirst(const SearchSpace& space,
                                                     size_t budget, int count,
                                                     uint64_t seed) {
  const SearchSpace alone = ModulesAlone(space, budget);
  const absl::StatusOr<GroupwiseSampler> sampler =
      GroupwiseSampler::Make(alone, AllOptions(alone));
  if (!sampler.ok()) return sampler.status();
  std::set<Assignment> candidates;
  absl::Status failure;
  for (int slot = 0; slot < count; ++slot) {
    Rng rng(seed, 0, static_cast<uint32_t>(slot));
    absl::StatusOr<Assignment> drawn = sampler->Draw(rng);
    if (!drawn.ok()) return drawn.status();
    std::vector<size_t> left;
    const SearchSpace plain = WhatIsLeft(space, *drawn, left);
    if (left.empty()) {
      candidates.insert(*std::move(drawn));
      continue;
    }
    const auto rest =
        StartCandidates(plain, /*count=*/1, rng.Below(uint64_t{1} << 62));
    if (!rest.ok()) {
      failure = rest.status();
      continue;
    }
    for (size_t i = 0; i < left.size(); ++i) {
      drawn->levels[left[i]] = rest->front().levels[i];
    }
    candidates.insert(*std::move(drawn));
  }
  if (candidates.empty()) return failure;
  return std::vector<Assignment>(candidates.begin(), candidates.end());
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
  if (const size_t budget = ModuleBudget(space); budget > 0) {
    auto candidates = ModulesFirst(space, budget, count, seed);
    if (candidates.ok()) return candidates;
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
