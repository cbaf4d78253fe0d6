#include "search/greedy.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "search/group_shares.h"

namespace evopress::search {
namespace {

// The units of groups above their shares; all units if only budgets of other
// kinds are still broken.
std::vector<bool> Overspenders(const SearchSpace& space,
                               const std::vector<GroupShare>& shares,
                               const Assignment& assignment) {
  std::vector<bool> over(space.units.size());
  bool any = false;
  for (const GroupShare& share : shares) {
    if (Spent(space, share, assignment) <= share.limit) continue;
    any = true;
    for (size_t u : share.units) over[u] = true;
  }
  if (!any) over.assign(over.size(), true);
  return over;
}

class Greedy : public StepwiseStrategy {
 public:
  Greedy(StrategyInput input, const GreedyOptions& options,
         StrategyIdentity identity)
      : StepwiseStrategy(std::move(input), std::move(identity)),
        options_(options) {}

 private:
  absl::StatusOr<Step> First() override {
    const Assignment dearest = Dearest(space());
    std::vector<Assignment> probes = {dearest};
    for (size_t u = 0; u < space().units.size(); ++u) {
      for (uint16_t level = 0; level < dearest.levels[u]; ++level) {
        probes.push_back(dearest);
        probes.back().levels[u] = level;
      }
    }
    return NewRound("one unit lowered at a time", std::move(probes),
                    DrawSamples(options_.samples));
  }

  absl::StatusOr<Step> Next(const Round& round,
                            const std::vector<double>& fitness) override {
    if (incumbent_.has_value()) return FinishWithBest(round, fitness);
    std::vector<std::vector<double>> damage;
    size_t probe = 1;
    for (const Unit& unit : space().units) {
      std::vector<double>& levels = damage.emplace_back();
      while (levels.size() + 1 < unit.menu.size()) {
        levels.push_back(fitness[probe++]);
      }
      levels.push_back(fitness[0]);
    }
    absl::StatusOr<Assignment> found = Descend(space(), damage);
    if (!found.ok()) return found.status();
    incumbent_ = Incumbent{*found, std::nullopt};
    return NewRound("the result", {*std::move(found)},
                    round.evaluations[0].samples);
  }

  const GreedyOptions options_;
};

}  // namespace

absl::StatusOr<Assignment> Descend(
    const SearchSpace& space, const std::vector<std::vector<double>>& damage) {
  const int kind = SteeringKind(space);
  Assignment current = Dearest(space);
  const std::vector<GroupShare> shares = GroupShares(space);
  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  while (!WithinBudgets(space, current)) {
    const std::vector<bool> lowerable = Overspenders(space, shares, current);
    // Steps that cannot be measured are the last resort, in unit order.
    double least = std::numeric_limits<double>::infinity();
    size_t best = space.units.size();
    for (size_t u = 0; u < space.units.size(); ++u) {
      const uint16_t level = current.levels[u];
      if (level == 0 || !lowerable[u] || !IsActive(space, current, u)) continue;
      const auto& menu = space.units[u].menu;
      int64_t saved = menu[level].costs[kind] - menu[level - 1].costs[kind];
      double added = damage[u][level - 1] - damage[u][level];
      // With a module goes what its members cost and have done so far.
      for (size_t m : members[u]) {
        const uint16_t lowered = current.levels[m];
        saved += space.units[m].menu[lowered].costs[kind];
        added -= damage[m][lowered] - damage[m].back();
      }
      // A step that saves nothing only opens the way to those below it.
      const double price = saved > 0   ? added / static_cast<double>(saved)
                           : added > 0 ? added
                                       : 0.0;
      if (best == space.units.size() || price < least) {
        least = price < least ? price : least;
        best = u;
      }
    }
    if (best == space.units.size()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "greedy lowers ", space.cost_kinds[kind],
          ", and the cheapest choice of every unit in it still breaks another "
          "budget; name that budget first or use another strategy"));
    }
    --current.levels[best];
  }
  return Canonical(space, std::move(current));
}

absl::Status CheckOptions(const StrategyInput& input,
                          const GreedyOptions& options) {
  return CheckSampleCount("samples", options.samples, input);
}

int64_t PlannedSamples(const StrategyInput& input,
                       const GreedyOptions& options) {
  int64_t measured = 2;
  for (const Unit& unit : input.space.units) {
    measured += static_cast<int64_t>(unit.menu.size()) - 1;
  }
  return measured * options.samples;
}

std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const GreedyOptions& options,
                                      StrategyIdentity identity) {
  return std::make_unique<Greedy>(std::move(input), options,
                                  std::move(identity));
}

}  // namespace evopress::search
