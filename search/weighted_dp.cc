#include "search/weighted_dp.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "search/knapsack.h"

namespace evopress::search {
namespace {

class WeightedDp : public StepwiseStrategy {
 public:
  WeightedDp(StrategyInput input, const WeightedDpOptions& options,
             StrategyIdentity identity)
      : StepwiseStrategy(std::move(input), std::move(identity)),
        options_(options) {}

 private:
  absl::StatusOr<Step> First() override {
    const Assignment dearest = Dearest(space());
    std::vector<Assignment> probes = {dearest};
    const std::vector<uint16_t> levels = ProbeLevels(space());
    for (size_t u = 0; u < levels.size(); ++u) {
      if (levels[u] == dearest.levels[u]) continue;
      probes.push_back(dearest);
      probes.back().levels[u] = levels[u];
    }
    return NewRound("one unit lowered at a time", std::move(probes),
                    DrawSamples(options_.samples));
  }

  absl::StatusOr<Step> Next(const Round& round,
                            const std::vector<double>& fitness) override {
    if (incumbent_.has_value()) return FinishWithBest(round, fitness);
    const std::vector<double> weights = Weights(fitness);
    std::vector<std::vector<double>> penalties = input().layer_errors;
    for (size_t u = 0; u < penalties.size(); ++u) {
      for (double& penalty : penalties[u]) penalty *= weights[u];
    }
    absl::StatusOr<Assignment> found = SolveKnapsack(space(), penalties);
    if (!found.ok()) return found.status();
    incumbent_ = Incumbent{*found, std::nullopt};
    return NewRound("the result", {*std::move(found)},
                    round.evaluations[0].samples);
  }

  // fitness[0] is the dearest assignment's, then one per unit with a choice.
  std::vector<double> Weights(const std::vector<double>& fitness) const {
    const std::vector<uint16_t> levels = ProbeLevels(space());
    std::vector<double> weights(levels.size(), 0.0);
    double greatest = 0;
    size_t probe = 1;
    for (size_t u = 0; u < levels.size(); ++u) {
      const std::vector<double>& errors = input().layer_errors[u];
      if (errors.size() == 1) continue;
      const double added = fitness[probe++] - fitness[0];
      const double error = errors[levels[u]] - errors.back();
      weights[u] = error > 0 ? std::max(0.0, added / error) : 0.0;
      if (!std::isfinite(added)) weights[u] = added;
      if (std::isfinite(weights[u])) greatest = std::max(greatest, weights[u]);
    }
    for (double& weight : weights) {
      if (std::isfinite(weight)) continue;
      weight = greatest > 0 ? kUnmeasurable * greatest : 1.0;
    }
    return weights;
  }

  const WeightedDpOptions options_;
};

__int128 Distance(__int128 a, __int128 b) { return a > b ? a - b : b - a; }

}  // namespace

std::vector<uint16_t> ProbeLevels(const SearchSpace& space) {
  const int kind = SteeringKind(space);
  const int64_t constant = space.constant_costs[kind];
  const __int128 whole = ReachableCosts(space, kind).max - constant;
  const __int128 target = space.budgets[0].limit - constant;
  std::vector<uint16_t> levels;
  for (const Unit& unit : space.units) {
    const __int128 wanted = unit.menu.back().costs[kind] * target;
    uint16_t nearest = 0;
    for (uint16_t l = 1; l + size_t{1} < unit.menu.size(); ++l) {
      if (Distance(unit.menu[l].costs[kind] * whole, wanted) <
          Distance(unit.menu[nearest].costs[kind] * whole, wanted)) {
        nearest = l;
      }
    }
    levels.push_back(nearest);
  }
  return levels;
}

absl::Status CheckOptions(const StrategyInput& input,
                          const WeightedDpOptions& options) {
  return CheckSampleCount("samples", options.samples, input);
}

int64_t PlannedSamples(const StrategyInput& input,
                       const WeightedDpOptions& options) {
  int64_t measured = 2;
  for (const Unit& unit : input.space.units) {
    if (unit.menu.size() > 1) ++measured;
  }
  return measured * options.samples;
}

std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const WeightedDpOptions& options,
                                      StrategyIdentity identity) {
  return std::make_unique<WeightedDp>(std::move(input), options,
                                      std::move(identity));
}

}  // namespace evopress::search
