#include "search/dp.h"

#include <limits>
#include <utility>

#include "search/knapsack.h"

namespace evopress::search {
namespace {

class Dp : public StepwiseStrategy {
 public:
  Dp(StrategyInput input, StrategyIdentity identity)
      : StepwiseStrategy(std::move(input), std::move(identity)) {}

 private:
  absl::StatusOr<Step> First() override {
    absl::StatusOr<Assignment> best =
        SolveKnapsack(space(), input().layer_errors);
    if (!best.ok()) return best.status();
    return Finish(*std::move(best), std::numeric_limits<double>::infinity());
  }
  absl::StatusOr<Step> Next(const Round&, const std::vector<double>&) override {
    return absl::InternalError("dp has no rounds");
  }
};

}  // namespace

absl::Status CheckOptions(const StrategyInput&, const DpOptions&) {
  return absl::OkStatus();
}

int64_t PlannedSamples(const StrategyInput&, const DpOptions&) { return 0; }

std::unique_ptr<Strategy> NewStrategy(StrategyInput input, const DpOptions&,
                                      StrategyIdentity identity) {
  return std::make_unique<Dp>(std::move(input), std::move(identity));
}

}  // namespace evopress::search
