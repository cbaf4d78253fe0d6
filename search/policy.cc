#include "search/policy.h"

#include <utility>

#include "search/knapsack.h"
#include "search/weighted_dp.h"

namespace evopress::search {

Probabilities StartPolicy(const SearchSpace& space,
                          const std::vector<GroupShare>& shares) {
  const std::vector<uint16_t> targets = ProbeLevels(space);
  Probabilities start;
  for (size_t u = 0; u < space.units.size(); ++u) {
    std::vector<double>& p = start.emplace_back(space.units[u].menu.size());
    const size_t target = targets[u];
    const bool below = target > 0;
    const bool above = target + 1 < p.size();
    p[target] = 0.5;
    if (below) p[target - 1] = above ? 0.25 : 0.5;
    if (above) p[target + 1] = below ? 0.25 : 0.5;
  }
  return ProjectOntoShares(space, shares, std::move(start));
}

std::vector<double> Advantages(const std::deque<std::vector<double>>& losses) {
  double sum = 0, count = 0;
  for (const std::vector<double>& step : losses) {
    for (double loss : step) {
      sum += loss;
      count += 1;
    }
  }
  std::vector<double> advantages;
  for (double loss : losses.back()) {
    advantages.push_back(loss - (sum - loss) / (count - 1));
  }
  return advantages;
}

Probabilities EstimateGradient(const std::vector<Assignment>& draws,
                               const std::vector<double>& advantages,
                               const Probabilities& marginals) {
  double mean = 0;
  for (double advantage : advantages) mean += advantage;
  const double count = static_cast<double>(draws.size());
  mean /= count;
  Probabilities gradient = marginals;
  for (std::vector<double>& levels : gradient) {
    for (double& value : levels) value *= -mean;
  }
  for (size_t k = 0; k < draws.size(); ++k) {
    for (size_t u = 0; u < gradient.size(); ++u) {
      gradient[u][draws[k].levels[u]] += advantages[k] / count;
    }
  }
  return gradient;
}

absl::StatusOr<Assignment> RoundPolicy(const SearchSpace& space,
                                       const Probabilities& policy) {
  const int kind = SteeringKind(space);
  Probabilities penalties;
  for (size_t u = 0; u < space.units.size(); ++u) {
    const auto& menu = space.units[u].menu;
    std::vector<double>& row = penalties.emplace_back(menu.size(), 0.0);
    double beyond = 1;
    for (size_t l = 1; l < menu.size(); ++l) {
      beyond -= policy[u][l - 1];
      const int64_t step = menu[l].costs[kind] - menu[l - 1].costs[kind];
      row[l] = row[l - 1] - beyond * static_cast<double>(step);
    }
  }
  return SolveKnapsack(space, penalties);
}

}  // namespace evopress::search
