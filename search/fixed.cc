#include "search/fixed.h"

#include <numeric>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace evopress::search {
namespace {

class Fixed : public StepwiseStrategy {
 public:
  Fixed(StrategyInput input, const FixedOptions& options,
        StrategyIdentity identity)
      : StepwiseStrategy(std::move(input), std::move(identity)),
        options_(options) {}

 private:
  bool NeedsBudgets() const override { return false; }

  absl::StatusOr<Step> First() override {
    std::vector<int32_t> samples = options_.samples;
    if (samples.empty()) {
      samples.resize(input().num_samples);
      std::iota(samples.begin(), samples.end(), 0);
    }
    return NewRound(
        absl::StrCat("measure ", options_.assignments.size(), " assignments"),
        options_.assignments, samples);
  }

  absl::StatusOr<Step> Next(const Round& round,
                            const std::vector<double>& fitness) override {
    return FinishWithBest(round, fitness);
  }

  const FixedOptions options_;
};

}  // namespace

absl::Status CheckOptions(const StrategyInput& input,
                          const FixedOptions& options) {
  if (options.assignments.empty()) {
    return absl::InvalidArgumentError("fixed: no assignments given");
  }
  for (size_t i = 0; i < options.assignments.size(); ++i) {
    const absl::Status valid = Validate(input.space, options.assignments[i]);
    if (!valid.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("assignments[", i, "]: ", valid.ToString()));
    }
  }
  for (int32_t sample : options.samples) {
    if (sample < 0 || sample >= input.num_samples) {
      return absl::InvalidArgumentError(
          absl::StrCat("sample ", sample, " is not one of the ",
                       input.num_samples, " samples"));
    }
  }
  return absl::OkStatus();
}

int64_t PlannedSamples(const StrategyInput& input,
                       const FixedOptions& options) {
  const int64_t samples = options.samples.empty()
                              ? input.num_samples
                              : static_cast<int64_t>(options.samples.size());
  return samples * static_cast<int64_t>(options.assignments.size());
}

std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const FixedOptions& options,
                                      StrategyIdentity identity) {
  return std::make_unique<Fixed>(std::move(input), options,
                                 std::move(identity));
}

}  // namespace evopress::search
