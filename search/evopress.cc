#include "search/evopress.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "search/mutation.h"
#include "search/start_point.h"

namespace evopress::search {
namespace {

// What the pending round is for.
enum class Phase { kStart, kSelection, kLastLook };

class EvoPress : public StepwiseStrategy {
 public:
  EvoPress(StrategyInput input, const EvoPressOptions& options,
           StrategyIdentity identity)
      : StepwiseStrategy(std::move(input), std::move(identity)),
        options_(options) {}

 private:
  absl::StatusOr<Step> First() override {
    absl::StatusOr<std::vector<Assignment>> starts =
        StartCandidates(space(), options_.initial_candidates, input().seed);
    if (!starts.ok()) return starts.status();
    incumbent_ = Incumbent{starts->front(), std::nullopt};
    if (starts->size() == 1) return NextGeneration();
    phase_ = Phase::kStart;
    return NewRound("start points", *std::move(starts),
                    DrawSamples(options_.initial_samples));
  }

  absl::StatusOr<Step> Next(const Round& round,
                            const std::vector<double>& fitness) override {
    if (phase_ == Phase::kLastLook) {
      return Finish(round.evaluations[0].assignment, fitness[0]);
    }
    if (phase_ == Phase::kSelection && stage_ + 1 < options_.stages.size()) {
      std::vector<Assignment> survivors;
      for (size_t i : Survivors(fitness, options_.stages[stage_].survivors)) {
        survivors.push_back(round.evaluations[i].assignment);
      }
      ++stage_;
      return NextStage(std::move(survivors));
    }
    size_t best = Ranking(fitness).front();
    // Of candidates that cannot be measured at all, the parent stays.
    if (phase_ == Phase::kSelection && !std::isfinite(fitness[best])) {
      best = fitness.size() - 1;
    }
    incumbent_ = Incumbent{round.evaluations[best].assignment, fitness[best]};
    return NextGeneration();
  }

  Step NextGeneration() {
    // A parent without offspring in so many draws will have none.
    for (int barren = 0;
         generation_ < options_.generations && barren < kMaxBarren; ++barren) {
      ++generation_;
      std::vector<Assignment> children =
          Offspring(space(), incumbent_->assignment, options_.offspring,
                    options_.max_switches, input().seed, uint64_t(generation_));
      if (children.empty()) continue;
      phase_ = Phase::kSelection;
      stage_ = 0;
      return NextStage(std::move(children));
    }
    if (incumbent_->fitness.has_value()) {
      return Finish(incumbent_->assignment, *incumbent_->fitness);
    }
    phase_ = Phase::kLastLook;
    return NewRound("the only candidate", {incumbent_->assignment},
                    DrawSamples(options_.stages.back().samples));
  }

  Step NextStage(std::vector<Assignment> candidates) {
    const size_t last = options_.stages.size() - 1;
    while (stage_ < last &&
           candidates.size() <=
               static_cast<size_t>(options_.stages[stage_].survivors)) {
      ++stage_;
    }
    if (stage_ == last) candidates.push_back(incumbent_->assignment);
    return NewRound(absl::StrCat("generation ", generation_, ", stage ",
                                 stage_ + 1, " of ", last + 1),
                    std::move(candidates),
                    DrawSamples(options_.stages[stage_].samples));
  }

  nlohmann::json SaveState() const override {
    return {{"phase", static_cast<int>(phase_)},
            {"generation", generation_},
            {"stage", stage_}};
  }

  absl::Status LoadState(const nlohmann::json& state) override {
    const int phase = state.at("phase").get<int>();
    const int32_t generation = state.at("generation").get<int32_t>();
    const size_t stage = state.at("stage").get<size_t>();
    if (phase < 0 || phase > static_cast<int>(Phase::kLastLook) ||
        generation < 0 || generation > options_.generations ||
        stage >= options_.stages.size()) {
      return absl::DataLossError("snapshot holds an impossible evopress state");
    }
    phase_ = static_cast<Phase>(phase);
    generation_ = generation;
    stage_ = stage;
    return absl::OkStatus();
  }

  static constexpr int kMaxBarren = 64;  // generations in a row

  const EvoPressOptions options_;
  Phase phase_ = Phase::kStart;
  int32_t generation_ = 0;  // 1… once offspring exists
  size_t stage_ = 0;
};

absl::Status AtLeastOne(const std::string& name, int32_t value) {
  if (value >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, "=", value, " must be at least 1"));
}

}  // namespace

absl::Status CheckOptions(const StrategyInput& input,
                          const EvoPressOptions& options) {
  for (const auto& [name, value] :
       {std::pair{"generations", options.generations},
        std::pair{"offspring", options.offspring},
        std::pair{"max_switches", options.max_switches},
        std::pair{"initial_candidates", options.initial_candidates}}) {
    const absl::Status positive = AtLeastOne(name, value);
    if (!positive.ok()) return positive;
  }
  if (options.offspring > kMaxCandidates ||
      options.initial_candidates > kMaxCandidates) {
    return absl::InvalidArgumentError(
        absl::StrCat("offspring=", options.offspring, " or initial_candidates=",
                     options.initial_candidates, " exceeds ", kMaxCandidates));
  }
  const int64_t switches =
      int64_t{options.offspring} * int64_t{options.max_switches};
  if (switches > kMaxSwitches) {
    return absl::InvalidArgumentError(absl::StrCat(
        "offspring=", options.offspring, " times max_switches=",
        options.max_switches, " is ", switches, ", the limit is ", kMaxSwitches,
        "; a parent differs from its offspring in few layers"));
  }
  absl::Status enough =
      CheckSampleCount("initial_samples", options.initial_samples, input);
  if (!enough.ok()) return enough;
  if (options.stages.empty()) {
    return absl::InvalidArgumentError("evopress needs a selection stage");
  }
  for (size_t i = 0; i < options.stages.size(); ++i) {
    const int32_t survivors = options.stages[i].survivors;
    const std::string name = absl::StrCat("survivors[", i, "]");
    const absl::Status positive = AtLeastOne(name, survivors);
    if (!positive.ok()) return positive;
    if (survivors > options.offspring) {
      return absl::InvalidArgumentError(absl::StrCat(
          name, "=", survivors, " exceeds offspring=", options.offspring,
          "; lower it or raise offspring"));
    }
    if (i > 0 && survivors > options.stages[i - 1].survivors) {
      return absl::InvalidArgumentError(absl::StrCat(
          name, "=", survivors, " exceeds survivors[", i - 1,
          "]=", options.stages[i - 1].survivors, "; stages only narrow down"));
    }
    enough = CheckSampleCount(absl::StrCat("samples[", i, "]"),
                              options.stages[i].samples, input);
    if (!enough.ok()) return enough;
  }
  if (options.stages.back().survivors != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("survivors[", options.stages.size() - 1,
                     "]=", options.stages.back().survivors,
                     " must be 1: the last stage chooses the parent"));
  }
  return absl::OkStatus();
}

int64_t PlannedSamples(const StrategyInput& input,
                       const EvoPressOptions& options) {
  int64_t generation = 0;
  int64_t candidates = options.offspring;
  for (size_t i = 0; i < options.stages.size(); ++i) {
    const bool last = i + 1 == options.stages.size();
    generation += (candidates + (last ? 1 : 0)) * options.stages[i].samples;
    candidates = options.stages[i].survivors;
  }
  int64_t total = generation * options.generations;
  if (!input.space.budgets.empty() && StartIsFractional(input.space)) {
    total += int64_t{options.initial_candidates} * options.initial_samples;
  }
  return total;
}

std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const EvoPressOptions& options,
                                      StrategyIdentity identity) {
  return std::make_unique<EvoPress>(std::move(input), options,
                                    std::move(identity));
}

}  // namespace evopress::search
