#include "search/random_search.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "search/cost_grid.h"
#include "search/groupwise_sampler.h"
#include "search/rng.h"

namespace evopress::search {
namespace {

constexpr int kMaxTriesPerCandidate = 64;

class RandomSearch : public StepwiseStrategy {
 public:
  RandomSearch(StrategyInput input, const RandomOptions& options,
               StrategyIdentity identity)
      : StepwiseStrategy(std::move(input), std::move(identity)),
        options_(options) {}

 private:
  absl::StatusOr<Step> First() override {
    const absl::StatusOr<GroupwiseSampler> sampler =
        GroupwiseSampler::Make(space(), AllOptions(space()));
    if (!sampler.ok()) return sampler.status();
    std::vector<Assignment> candidates;
    std::set<Assignment> seen;
    for (int slot = 0; slot < options_.candidates; ++slot) {
      Rng rng(input().seed, 0, static_cast<uint32_t>(slot));
      for (int tries = 0; tries < kMaxTriesPerCandidate; ++tries) {
        absl::StatusOr<Assignment> drawn = sampler->Draw(rng);
        if (!drawn.ok()) return drawn.status();
        if (!WithinBudgets(space(), *drawn)) continue;
        if (!seen.insert(*drawn).second) continue;
        candidates.push_back(*std::move(drawn));
        break;
      }
    }
    if (candidates.empty()) {
      return absl::FailedPreconditionError(
          "no random assignment met all budgets");
    }
    incumbent_ = Incumbent{candidates.front(), std::nullopt};
    return NewRound(absl::StrCat(candidates.size(), " random assignments"),
                    std::move(candidates), DrawSamples(options_.samples));
  }

  absl::StatusOr<Step> Next(const Round& round,
                            const std::vector<double>& fitness) override {
    return FinishWithBest(round, fitness);
  }

  const RandomOptions options_;
};

}  // namespace

absl::Status CheckOptions(const StrategyInput& input,
                          const RandomOptions& options) {
  if (options.candidates < 1 || options.candidates > kMaxCandidates) {
    return absl::InvalidArgumentError(absl::StrCat(
        "candidates=", options.candidates, " is not in 1…", kMaxCandidates));
  }
  return CheckSampleCount("samples", options.samples, input);
}

int64_t PlannedSamples(const StrategyInput&, const RandomOptions& options) {
  return int64_t{options.candidates} * options.samples;
}

std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const RandomOptions& options,
                                      StrategyIdentity identity) {
  return std::make_unique<RandomSearch>(std::move(input), options,
                                        std::move(identity));
}

}  // namespace evopress::search
