#include "search/policy_gradient.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "search/digest.h"
#include "search/groupwise_sampler.h"
#include "search/policy.h"
#include "search/rng.h"

namespace evopress::search {
namespace {

// Draws of one slot until all budgets are met.
constexpr int kMaxTriesPerDraw = 64;
constexpr int32_t kMaxWindow = 1024;
// Assignments compared in the end.
constexpr int64_t kContenders = 3;

// What a step asks: of draw k, drawn[k] is the policy's own choice, which the
// gradient is about, and measured[k] that with the shares' leftover spent.
struct Draws {
  Probabilities marginals;
  std::vector<Assignment> drawn;
  std::vector<Assignment> measured;
};

nlohmann::json ToJson(const std::vector<double>& values) {
  nlohmann::json bits = nlohmann::json::array();
  for (double value : values) bits.push_back(Bits(value));
  return bits;
}

std::vector<double> FromJson(const nlohmann::json& bits) {
  std::vector<double> values;
  for (const nlohmann::json& value : bits) {
    values.push_back(FromBits(value.get<uint64_t>()));
  }
  return values;
}

void AddDistinct(Assignment assignment, std::vector<Assignment>& assignments) {
  if (std::find(assignments.begin(), assignments.end(), assignment) ==
      assignments.end()) {
    assignments.push_back(std::move(assignment));
  }
}

class PolicyGradient : public StepwiseStrategy {
 public:
  PolicyGradient(StrategyInput input, const PolicyGradientOptions& options,
                 StrategyIdentity identity)
      : StepwiseStrategy(std::move(input), std::move(identity)),
        options_(options),
        shares_(GroupShares(space())) {}

 private:
  absl::StatusOr<Step> First() override {
    policy_ = StartPolicy(space(), shares_);
    absl::StatusOr<Draws> draws = Draw();
    if (!draws.ok()) return draws.status();
    if (draws->measured.empty()) {
      return absl::FailedPreconditionError("no draw met all budgets");
    }
    incumbent_ = Incumbent{draws->measured.front(), std::nullopt};
    return Ask(*draws);
  }

  absl::StatusOr<Step> Next(const Round& round,
                            const std::vector<double>& fitness) override {
    if (step_ == options_.steps) return FinishWithBest(round, fitness);
    const size_t best = Ranking(fitness).front();
    if (std::isfinite(fitness[best])) {
      incumbent_ = Incumbent{round.evaluations[best].assignment, fitness[best]};
      // The draws depend on nothing but the policy and the step.
      absl::StatusOr<Draws> draws = Draw();
      if (!draws.ok()) return draws.status();
      Learn(*draws, Losses(*draws, round, fitness));
    }
    ++step_;
    if (step_ == options_.steps) return Compare();
    absl::StatusOr<Draws> draws = Draw();
    if (!draws.ok()) return draws.status();
    if (draws->measured.empty()) {
      step_ = options_.steps;
      return Compare();
    }
    return Ask(*draws);
  }

  // The draws of the present step.
  absl::StatusOr<Draws> Draw() const {
    const auto sampler =
        GroupwiseSampler::Make(space(), AllOptions(space()), policy_);
    if (!sampler.ok()) return sampler.status();
    Draws draws;
    draws.marginals = sampler->Marginals();
    for (int slot = 0; slot < options_.draws; ++slot) {
      Rng rng(input().seed, static_cast<uint64_t>(step_),
              static_cast<uint32_t>(slot));
      for (int tries = 0; tries < kMaxTriesPerDraw; ++tries) {
        Assignment drawn = sampler->DrawShares(rng);
        absl::StatusOr<Assignment> filled = sampler->SpendRest(drawn, rng);
        if (!filled.ok()) return filled.status();
        if (!WithinBudgets(space(), *filled)) continue;
        draws.drawn.push_back(std::move(drawn));
        draws.measured.push_back(*std::move(filled));
        break;
      }
    }
    return draws;
  }

  // Equal draws are measured once.
  Step Ask(const Draws& draws) {
    std::vector<Assignment> distinct;
    for (const Assignment& draw : draws.measured) AddDistinct(draw, distinct);
    return NewRound(absl::StrCat("step ", step_ + 1, " of ", options_.steps),
                    std::move(distinct), DrawSamples(options_.samples));
  }

  // Of every draw; one that cannot be measured is as bad as the worst that can.
  std::vector<double> Losses(const Draws& draws, const Round& round,
                             const std::vector<double>& fitness) const {
    double worst = -std::numeric_limits<double>::infinity();
    for (double value : fitness) {
      if (std::isfinite(value)) worst = std::max(worst, value);
    }
    std::vector<double> losses;
    for (const Assignment& draw : draws.measured) {
      const auto asked = std::find_if(
          round.evaluations.begin(), round.evaluations.end(),
          [&](const Evaluation& e) { return e.assignment == draw; });
      losses.push_back(
          std::min(worst, fitness[asked - round.evaluations.begin()]));
    }
    return losses;
  }

  void Learn(const Draws& draws, std::vector<double> losses) {
    losses_.push_back(std::move(losses));
    if (losses_.size() > static_cast<size_t>(options_.window)) {
      losses_.pop_front();
    }
    const std::vector<double> advantages = Advantages(losses_);
    double squares = 0;
    for (double advantage : advantages) squares += advantage * advantage;
    const double spread =
        std::sqrt(squares / static_cast<double>(advantages.size()));
    // Draws that are all alike teach nothing, nor do absurd numbers.
    if (!(spread > 0) || !std::isfinite(spread)) return;
    const double left = static_cast<double>(options_.steps - step_) /
                        static_cast<double>(options_.steps);
    const double rate = options_.learning_rate * left / spread;
    const Probabilities gradient =
        EstimateGradient(draws.drawn, advantages, draws.marginals);
    for (size_t u = 0; u < policy_.size(); ++u) {
      for (size_t l = 0; l < policy_[u].size(); ++l) {
        policy_[u][l] -= rate * gradient[u][l];
      }
    }
    policy_ = ProjectOntoShares(space(), shares_, std::move(policy_));
  }

  // A rounding is left out if none is found that meets all budgets.
  Step Compare() {
    std::vector<Assignment> contenders;
    const auto learned = RoundPolicy(space(), policy_);
    if (learned.ok()) AddDistinct(*learned, contenders);
    AddDistinct(incumbent_->assignment, contenders);
    const auto start = RoundPolicy(space(), StartPolicy(space(), shares_));
    if (start.ok()) AddDistinct(*start, contenders);
    return NewRound("what was learned", std::move(contenders),
                    DrawSamples(options_.final_samples));
  }

  nlohmann::json SaveState() const override {
    nlohmann::json policy = nlohmann::json::array();
    for (const std::vector<double>& levels : policy_) {
      policy.push_back(ToJson(levels));
    }
    nlohmann::json losses = nlohmann::json::array();
    for (const std::vector<double>& step : losses_) {
      losses.push_back(ToJson(step));
    }
    return {{"step", step_},
            {"policy", std::move(policy)},
            {"losses", std::move(losses)}};
  }

  absl::Status LoadState(const nlohmann::json& state) override {
    const absl::Status damaged =
        absl::DataLossError("snapshot holds an impossible policy");
    step_ = state.at("step").get<int32_t>();
    if (step_ < 0 || step_ > options_.steps) return damaged;
    policy_.clear();
    for (const nlohmann::json& levels : state.at("policy")) {
      policy_.push_back(FromJson(levels));
    }
    if (policy_.size() != space().units.size()) return damaged;
    for (size_t u = 0; u < policy_.size(); ++u) {
      if (policy_[u].size() != space().units[u].menu.size()) return damaged;
      for (double p : policy_[u]) {
        if (!(p > 0) || !std::isfinite(p)) return damaged;
      }
    }
    losses_.clear();
    for (const nlohmann::json& step : state.at("losses")) {
      losses_.push_back(FromJson(step));
    }
    return absl::OkStatus();
  }

  const PolicyGradientOptions options_;
  const std::vector<GroupShare> shares_;
  Probabilities policy_;
  std::deque<std::vector<double>> losses_;  // of the last `window` steps
  int32_t step_ = 0;                        // steps told so far
};

}  // namespace

absl::Status CheckOptions(const StrategyInput& input,
                          const PolicyGradientOptions& options) {
  if (options.steps < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("steps=", options.steps, " must be at least 1"));
  }
  if (options.draws < 2 || options.draws > kMaxCandidates) {
    return absl::InvalidArgumentError(
        absl::StrCat("draws=", options.draws, " is not in 2…", kMaxCandidates));
  }
  if (options.window < 1 || options.window > kMaxWindow) {
    return absl::InvalidArgumentError(
        absl::StrCat("window=", options.window, " is not in 1…", kMaxWindow));
  }
  if (!(options.learning_rate > 0) || !(options.learning_rate <= 100)) {
    return absl::InvalidArgumentError(
        absl::StrCat("learning_rate=", options.learning_rate,
                     " must be above 0 and at most 100"));
  }
  const absl::Status samples =
      CheckSampleCount("samples", options.samples, input);
  if (!samples.ok()) return samples;
  return CheckSampleCount("final_samples", options.final_samples, input);
}

int64_t PlannedSamples(const StrategyInput&,
                       const PolicyGradientOptions& options) {
  return int64_t{options.steps} * options.draws * options.samples +
         kContenders * options.final_samples;
}

std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const PolicyGradientOptions& options,
                                      StrategyIdentity identity) {
  return std::make_unique<PolicyGradient>(std::move(input), options,
                                          std::move(identity));
}

}  // namespace evopress::search
