#include "search/start_point.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "search/budget_sampler.h"
#include "search/cost_grid.h"
#include "search/rng.h"
#include "search/uniform.h"

namespace evopress::search {
namespace {

// Tries with group budgets before the groups are mixed.
constexpr int kMaxGroupTries = 8;

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

// The two uniform neighbours of the budget.
struct Bracket {
  UniformAssignment floor;
  UniformAssignment ceiling;
};

std::optional<Bracket> FindBracket(const SearchSpace& space) {
  std::optional<UniformAssignment> floor;
  for (UniformAssignment& uniform : UniformAssignments(space)) {
    if (uniform.cost > space.budgets[0].limit) {
      if (!floor.has_value()) return std::nullopt;
      return Bracket{*std::move(floor), std::move(uniform)};
    }
    if (!floor.has_value() || uniform.cost > floor->cost) floor = uniform;
  }
  return std::nullopt;
}

Options BracketOptions(const Bracket& bracket) {
  Options options;
  for (size_t u = 0; u < bracket.floor.assignment.levels.size(); ++u) {
    const uint16_t low = bracket.floor.assignment.levels[u];
    const uint16_t high = bracket.ceiling.assignment.levels[u];
    options.push_back(low < high ? std::vector{low, high} : std::vector{low});
  }
  return options;
}

// Draws candidates between the two uniform neighbours.
class GroupwiseRounding {
 public:
  static absl::StatusOr<GroupwiseRounding> Make(const SearchSpace& space,
                                                Bracket bracket) {
    GroupwiseRounding rounding(space, std::move(bracket));
    const int kind = SteeringKind(space);
    const int64_t limit = space.budgets[0].limit;
    const __int128 above = limit - rounding.bracket_.floor.cost;
    const __int128 width =
        rounding.bracket_.ceiling.cost - rounding.bracket_.floor.cost;
    std::map<std::string, std::vector<size_t>> groups;
    for (size_t u = 0; u < space.units.size(); ++u) {
      groups[space.units[u].group].push_back(u);
    }
    for (const auto& [name, members] : groups) {
      // The group's share: its units may move, all others stay on the floor.
      Options options = rounding.FloorOptions();
      __int128 group_width = 0;
      for (size_t u : members) {
        options[u] = rounding.options_[u];
        group_width += space.units[u].menu[options[u].back()].costs[kind] -
                       space.units[u].menu[options[u].front()].costs[kind];
      }
      const int64_t share = static_cast<int64_t>(group_width * above / width);
      auto sampler = BudgetSampler::Make(space, std::move(options),
                                         rounding.bracket_.floor.cost + share);
      if (!sampler.ok()) return sampler.status();
      rounding.groups_.emplace_back(members, *std::move(sampler));
    }
    auto whole = BudgetSampler::Make(space, rounding.options_, limit);
    if (!whole.ok()) return whole.status();
    Rng any(0);
    rounding.most_ = Cost(space, whole->Draw(any), kind);
    rounding.whole_.emplace(*std::move(whole));
    return rounding;
  }

  absl::StatusOr<Assignment> Draw(Rng& rng) const {
    for (int tries = 0; tries < kMaxGroupTries; ++tries) {
      Assignment drawn = bracket_.floor.assignment;
      for (const auto& [members, sampler] : groups_) {
        const Assignment part = sampler.Draw(rng);
        for (size_t u : members) drawn.levels[u] = part.levels[u];
      }
      absl::StatusOr<Assignment> filled = SpendRest(std::move(drawn), rng);
      if (!filled.ok()) return filled.status();
      if (Cost(*space_, *filled, SteeringKind(*space_)) >= most_) {
        return filled;
      }
    }
    return whole_->Draw(rng);
  }

 private:
  GroupwiseRounding(const SearchSpace& space, Bracket bracket)
      : space_(&space),
        bracket_(std::move(bracket)),
        options_(BracketOptions(bracket_)) {}

  Options FloorOptions() const {
    Options options;
    for (const auto& both : options_) options.push_back({both.front()});
    return options;
  }

  // What rounding down the groups' shares has left over.
  absl::StatusOr<Assignment> SpendRest(Assignment drawn, Rng& rng) const {
    Options rest;
    for (size_t u = 0; u < options_.size(); ++u) {
      const bool raised = drawn.levels[u] == options_[u].back();
      rest.push_back(raised ? std::vector{drawn.levels[u]} : options_[u]);
    }
    auto sampler =
        BudgetSampler::Make(*space_, std::move(rest), space_->budgets[0].limit);
    if (!sampler.ok()) return sampler.status();
    return sampler->Draw(rng);
  }

  const SearchSpace* space_;
  Bracket bracket_;
  Options options_;
  std::vector<std::pair<std::vector<size_t>, BudgetSampler>> groups_;
  std::optional<BudgetSampler> whole_;
  int64_t most_ = 0;  // cost of the fullest assignment
};

}  // namespace

bool StartIsFractional(const SearchSpace& space) {
  return !ExactUniform(space).has_value();
}

absl::StatusOr<std::vector<Assignment>> StartCandidates(
    const SearchSpace& space, int count, uint64_t seed) {
  if (std::optional<Assignment> exact = ExactUniform(space)) {
    return std::vector<Assignment>{*std::move(exact)};
  }
  std::optional<GroupwiseRounding> rounding;
  std::optional<BudgetSampler> anything;
  if (std::optional<Bracket> bracket = FindBracket(space)) {
    auto made = GroupwiseRounding::Make(space, *std::move(bracket));
    if (!made.ok()) return made.status();
    rounding.emplace(*std::move(made));
  } else {
    auto made =
        BudgetSampler::Make(space, AllOptions(space), space.budgets[0].limit);
    if (!made.ok()) return made.status();
    anything.emplace(*std::move(made));
  }
  std::vector<Assignment> candidates;
  std::set<Assignment> seen;
  for (int slot = 0; slot < count; ++slot) {
    Rng rng(seed, 0, static_cast<uint32_t>(slot));
    for (int tries = 0; tries < kMaxTriesPerStart; ++tries) {
      absl::StatusOr<Assignment> drawn =
          rounding.has_value() ? rounding->Draw(rng) : anything->Draw(rng);
      if (!drawn.ok()) return drawn.status();
      if (!WithinBudgets(space, *drawn) || !seen.insert(*drawn).second) {
        continue;
      }
      candidates.push_back(*std::move(drawn));
      break;
    }
  }
  if (!candidates.empty()) return candidates;
  // Random ones break another budget: a uniform one is better than none.
  absl::StatusOr<UniformAssignment> uniform = DearestUniform(space);
  if (uniform.ok()) {
    return std::vector<Assignment>{std::move(uniform->assignment)};
  }
  return absl::FailedPreconditionError(
      absl::StrCat("found no assignment that meets all ", space.budgets.size(),
                   " budgets in ", kMaxTriesPerStart, " tries"));
}

}  // namespace evopress::search
