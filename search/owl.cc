#include "search/owl.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "search/group_shares.h"
#include "search/knapsack.h"

namespace evopress::search {
namespace {

constexpr double kMaxLambda = 0.5;

// Squared distances of levels from the densities, in weights. Each kept weight
// is worth 2 besides: that makes the programme spend the budget, and among
// assignments that spend the same it changes nothing.
std::vector<std::vector<double>> Penalties(
    const SearchSpace& space, const std::vector<double>& densities) {
  const int kind = SteeringKind(space);
  std::vector<std::vector<double>> penalties;
  for (size_t u = 0; u < space.units.size(); ++u) {
    const auto weights = static_cast<double>(space.units[u].weights);
    std::vector<double>& levels = penalties.emplace_back();
    for (const LevelChoice& level : space.units[u].menu) {
      const auto kept = static_cast<double>(level.costs[kind]);
      const double off = kept / weights - densities[u];
      levels.push_back(weights * off * off - 2 * kept);
    }
  }
  return penalties;
}

class Owl : public StepwiseStrategy {
 public:
  Owl(StrategyInput input, const OwlOptions& options, StrategyIdentity identity)
      : StepwiseStrategy(std::move(input), std::move(identity)),
        options_(options) {}

 private:
  absl::StatusOr<Step> First() override {
    std::vector<double> outliers;
    for (const std::vector<double>& score : input().scores) {
      outliers.push_back(score.front());
    }
    absl::StatusOr<Assignment> nearest = SolveKnapsack(
        space(),
        Penalties(space(), OwlDensities(space(), outliers, options_.lambda)));
    if (!nearest.ok()) return nearest.status();
    return Finish(*std::move(nearest), std::numeric_limits<double>::infinity());
  }
  absl::StatusOr<Step> Next(const Round&, const std::vector<double>&) override {
    return absl::InternalError("owl has no rounds");
  }

  const OwlOptions options_;
};

}  // namespace

std::vector<double> OwlDensities(const SearchSpace& space,
                                 const std::vector<double>& outliers,
                                 double lambda) {
  const auto [least, most] =
      std::minmax_element(outliers.begin(), outliers.end());
  const double range = *most - *least;
  std::vector<double> densities(space.units.size());
  for (size_t u = 0; u < densities.size() && range > 0; ++u) {
    densities[u] = 2 * lambda * (outliers[u] - *least) / range;
  }
  for (const GroupShare& share : GroupShares(space)) {
    double weights = 0, kept = 0;
    for (size_t u : share.units) {
      const auto unit = static_cast<double>(space.units[u].weights);
      weights += unit;
      kept += unit * densities[u];
    }
    const double shift = (static_cast<double>(share.limit) - kept) / weights;
    for (size_t u : share.units) densities[u] += shift;
  }
  return densities;
}

absl::Status CheckOptions(const StrategyInput& input,
                          const OwlOptions& options) {
  if (!(options.lambda > 0 && options.lambda <= kMaxLambda)) {
    return absl::InvalidArgumentError(
        absl::StrCat("lambda=", options.lambda,
                     " of owl must be above 0 and at most ", kMaxLambda));
  }
  const SearchSpace& space = input.space;
  const int kind = SteeringKind(space);
  if (HasModules(space)) {
    return absl::FailedPreconditionError(
        "\"owl\" does not search over modules; use \"evopress\"");
  }
  if (space.cost_kinds[kind] != kNonzerosKind) {
    return absl::FailedPreconditionError(absl::StrCat(
        "\"owl\" shares out zeros: the first budget must be one of ",
        kNonzerosKind, " (--target-sparsity), not ", space.cost_kinds[kind]));
  }
  for (const Unit& unit : space.units) {
    if (unit.weights <= 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("\"owl\": unit \"", unit.name, "\" has no weights"));
    }
  }
  const bool prunes = std::any_of(
      space.units.begin(), space.units.end(), [&](const Unit& unit) {
        return unit.menu.front().costs[kind] < unit.menu.back().costs[kind];
      });
  if (!prunes) {
    return absl::FailedPreconditionError(
        "\"owl\" needs levels of different sparsity, e.g. --menu "
        "sparsegpt:50:steps4x16384");
  }
  return absl::OkStatus();
}

int64_t PlannedSamples(const StrategyInput&, const OwlOptions&) { return 0; }

std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const OwlOptions& options,
                                      StrategyIdentity identity) {
  return std::make_unique<Owl>(std::move(input), options, std::move(identity));
}

}  // namespace evopress::search
