#include "search/guided.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "search/digest.h"
#include "search/drop_text.h"
#include "search/effect_model.h"
#include "search/greedy.h"
#include "search/knapsack.h"
#include "search/measured.h"
#include "search/merging.h"
#include "search/module_surrogate.h"
#include "search/probes.h"
#include "search/proposals.h"
#include "search/race_samples.h"
#include "search/uniform.h"

namespace evopress::search {
namespace {

// One-sided 95 %: how sure a decision against an anchor must be.
constexpr double kSure = 1.645;
// What is left to save goes down to this share in every step of the descent.
constexpr int64_t kLeftParts = 2, kParts = 3;

enum class Phase {
  kAnchors,
  kScan,
  kDescent,
  kStart,
  kTypes,
  kModules,
  kRace,
  kMerger,
  kDecision
};

// The surrogate of the strategy: the effect model, and modules as measured.
std::unique_ptr<Surrogate> LearnEffects(const Lesson& lesson) {
  auto layers = std::make_unique<EffectModel>(
      lesson.space, lesson.errors, lesson.pivot, lesson.measured, lesson.pairs);
  if (!HasModules(lesson.space)) return layers;
  return std::make_unique<ModuleSurrogate>(lesson.space, lesson.center,
                                           lesson.measured, std::move(layers));
}

class Guided : public StepwiseStrategy {
 public:
  Guided(StrategyInput input, const GuidedOptions& options,
         StrategyIdentity identity, LearnSurrogate learn)
      : StepwiseStrategy(std::move(input), std::move(identity)),
        options_(options),
        learn_(std::move(learn)),
        dearest_(Dearest(space())),
        restored_(RestoredLevels(space())),
        modules_(HasModules(space())),
        samples_(domains(), this->input().seed, options.samples,
                 options.decision_samples),
        measured_(domains()) {
    for (Assignment& probe : ProbesOfUnits(space())) {
      pairs_.probes.emplace_back(std::move(probe), dearest_);
    }
  }

 private:
  absl::StatusOr<Step> First() override {
    auto uniform = DearestUniform(space());
    if (uniform.ok()) AddAnchor(uniform->assignment);
    auto dp = SolveKnapsack(space(), input().layer_errors);
    if (dp.ok()) AddAnchor(*dp);
    for (const Assignment& anchor : options_.anchors) {
      AddAnchor(Canonical(space(), anchor));
    }
    if (anchors_.empty()) return dp.status();
    incumbent_ = Incumbent{anchors_.front(), std::nullopt};
    phase_ = Phase::kAnchors;
    return Ask("anchors", anchors_, samples_.Of(0));
  }

  absl::StatusOr<Step> Next(const Round& round,
                            const std::vector<double>&) override {
    measured_.Add(round, results(), options_.fitness);
    switch (phase_) {
      case Phase::kAnchors:
        return Scan();
      case Phase::kScan:
        if (OnlyDrops(space())) AddDropScore();
        return modules_ ? Descend() : MeasureStarts();
      case Phase::kDescent:
        return Descend();
      case Phase::kStart:
        return BeginAtBest();
      case Phase::kTypes:
        return NextRace();
      case Phase::kModules:
        return BeginRace();
      case Phase::kRace:
        return EndRung();
      case Phase::kMerger:
        return EndRace();
      case Phase::kDecision:
        return Decide();
    }
    return absl::InternalError("guided has no such phase");
  }

  void AddAnchor(const Assignment& anchor) {
    if (std::find(anchors_.begin(), anchors_.end(), anchor) == anchors_.end()) {
      anchors_.push_back(anchor);
    }
  }

  // Asks for what is not yet measured; if all is, goes on at once.
  absl::StatusOr<Step> Ask(const std::string& purpose,
                           const std::vector<Assignment>& assignments,
                           const std::vector<int32_t>& samples) {
    std::vector<Evaluation> evaluations;
    for (const Assignment& assignment : assignments) {
      std::vector<int32_t> missing = measured_.Missing(assignment, samples);
      if (missing.empty()) continue;
      evaluations.push_back({assignment, std::move(missing)});
    }
    if (evaluations.empty()) return Next(Round{}, {});
    return NewRound(purpose, std::move(evaluations));
  }

  Assignment BestOf(const std::vector<Assignment>& assignments,
                    const std::vector<int32_t>& samples) const {
    std::vector<double> means;
    for (const Assignment& assignment : assignments) {
      means.push_back(measured_.Mean(assignment, samples));
    }
    return assignments[Ranking(means).front()];
  }

  // With a level that is meant for every unit, active or not.
  Assignment Filled(const Assignment& assignment) const {
    return FillInactive(space(), assignment, restored_);
  }

  std::unique_ptr<Surrogate> Learn(const Assignment& center) const {
    return learn_(
        {space(), input().layer_errors, pivot_, center, measured_, pairs_});
  }

  absl::StatusOr<Step> Scan() {
    pivot_ = Filled(BestOf(anchors_, samples_.Of(0)));
    stand_ = dearest_;
    std::vector<Assignment> asked = {dearest_};
    for (const auto& [probe, dearest] : pairs_.probes) asked.push_back(probe);
    for (const Assignment& anchor : anchors_) {
      if (anchor != dearest_) pairs_.wholes.emplace_back(anchor, dearest_);
    }
    phase_ = Phase::kScan;
    return Ask("effect of each unit alone", asked, samples_.Of(0, 0));
  }

  // What `greedy` makes of the scan where modules alone have a choice.
  void AddDropScore() {
    const std::vector<int32_t> samples = samples_.Of(0, 0);
    const double kept = measured_.Mean(dearest_, samples);
    Effects damage;
    for (const Unit& unit : space().units) {
      damage.emplace_back(unit.menu.size(), kept);
    }
    for (const auto& [module, probe] : ProbesOfModules(space(), dearest_)) {
      damage[module][kDropped] = measured_.Mean(probe, samples);
    }
    auto score = search::Descend(space(), damage);
    if (score.ok()) AddAnchor(*std::move(score));
  }

  // One step of the descent from where modules have just been measured.
  absl::StatusOr<Step> Descend() {
    const Assignment center = Filled(stand_);
    const Effects effects = Learn(center)->Expected()->Around(center);
    ++descent_;
    SearchSpace nearer = space();
    for (Budget& budget : nearer.budgets) {
      const int64_t left = Cost(space(), stand_, budget.kind) - budget.limit;
      if (left > 0)
        budget.limit +=
            left / kParts * kLeftParts + left % kParts * kLeftParts / kParts;
    }
    absl::StatusOr<Assignment> next = stand_;
    if (descent_ < kDescentSteps) next = SolveKnapsack(nearer, effects);
    if (!next.ok() || *next == stand_) next = SolveKnapsack(space(), effects);
    // Budgets that no programme meets are met by the anchors.
    if (!next.ok()) return MeasureStarts();
    stand_ = *std::move(next);
    if (WithinBudgets(space(), stand_)) return MeasureStarts();
    std::vector<Assignment> asked = {stand_};
    for (ModuleProbe& probe : ProbesOfModules(space(), Filled(stand_))) {
      asked.push_back(std::move(probe.assignment));
    }
    phase_ = Phase::kDescent;
    return Ask(absl::StrCat("descent, step ", descent_), asked,
               samples_.OfStep(descent_));
  }

  // All that the search may start from.
  std::vector<Assignment> Starts() const {
    std::vector<Assignment> starts = anchors_;
    if (modules_ && WithinBudgets(space(), stand_) && !IsAnchor(stand_)) {
      starts.push_back(stand_);
    }
    return starts;
  }

  absl::StatusOr<Step> MeasureStarts() {
    phase_ = Phase::kStart;
    return Ask("where to start", Starts(), samples_.Of(0));
  }

  absl::StatusOr<Step> BeginAtBest() {
    const std::vector<int32_t> samples = samples_.Of(0);
    const Assignment best = BestOf(Starts(), samples);
    incumbent_ = Incumbent{best, measured_.Mean(best, samples)};
    pivot_ = Filled(best);
    for (const Assignment& start : Starts()) {
      if (start != best) pairs_.races.emplace_back(start, best);
    }
    const std::vector<Assignment> probes = ProbesOfTypes(space(), pivot_);
    for (const Assignment& probe : probes) {
      pairs_.races.emplace_back(probe, best);
    }
    phase_ = Phase::kTypes;
    return Ask("effect of each type of unit", probes,
               samples_.Of(0, options_.samples.size() / 2));
  }

  absl::StatusOr<Step> NextRace() {
    const int64_t after = asked_samples() + SamplesOfRace(space(), options_) +
                          SamplesOfDecision(options_);
    if (race_ >= options_.races || misses_ >= kPatience ||
        (options_.max_samples > 0 && after > options_.max_samples)) {
      return BeginDecision();
    }
    ++race_;
    rung_ = 0;
    if (!modules_) return BeginRace();
    std::vector<Assignment> asked = {incumbent_->assignment};
    for (ModuleProbe& probe :
         ProbesOfModules(space(), Filled(incumbent_->assignment))) {
      asked.push_back(std::move(probe.assignment));
    }
    phase_ = Phase::kModules;
    return Ask(absl::StrCat("race ", race_, ", effect of each module"), asked,
               samples_.Apart(race_));
  }

  absl::StatusOr<Step> BeginRace() {
    contestants_ = Candidates();
    if (contestants_.empty()) return BeginDecision();
    phase_ = Phase::kRace;
    return AskRung();
  }

  std::vector<Assignment> Candidates() {
    const Assignment center = Filled(incumbent_->assignment);
    const std::unique_ptr<Surrogate> surrogate = Learn(center);
    std::set<Assignment> known = {incumbent_->assignment};
    for (const EffectModel::Pair& pair : pairs_.races) known.insert(pair.first);
    std::vector<Assignment> candidates;
    if (race_ == 1) {
      const auto optimum =
          SolveKnapsack(space(), surrogate->Expected()->Around(center));
      if (optimum.ok()) {
        if (!modules_) AddAnchor(*optimum);  // weighted dp
        if (known.insert(*optimum).second) candidates.push_back(*optimum);
      }
    }
    ProposalOptions options;
    options.count = options_.candidates - static_cast<int>(candidates.size());
    options.reach = reach_;
    options.seed = input().seed;
    options.race = race_;
    for (Assignment& found :
         Propose(space(), *surrogate, center, known, options)) {
      candidates.push_back(std::move(found));
    }
    return candidates;
  }

  absl::StatusOr<Step> AskRung() {
    std::vector<Assignment> asked = contestants_;
    asked.push_back(incumbent_->assignment);
    return Ask(absl::StrCat("race ", race_, ", stage ", rung_ + 1, " of ",
                            options_.samples.size()),
               asked, samples_.Of(race_, rung_));
  }

  absl::StatusOr<Step> EndRung() {
    const Assignment& incumbent = incumbent_->assignment;
    const std::vector<int32_t> samples = samples_.Of(race_, rung_);
    const bool last = rung_ == samples_.last_rung();
    std::vector<double> gains;
    for (const Assignment& contestant : contestants_) {
      if (rung_ == 0) pairs_.races.emplace_back(contestant, incumbent);
      gains.push_back(measured_.Contest(contestant, incumbent, samples).mean);
    }
    if (!last) {
      std::vector<Assignment> survivors;
      for (size_t i : Survivors(gains, GoOn(gains.size()))) {
        survivors.push_back(contestants_[i]);
      }
      contestants_ = std::move(survivors);
      ++rung_;
      return AskRung();
    }
    return AskMerger(gains);
  }

  // All that is better than the incumbent in one, measured as they were.
  absl::StatusOr<Step> AskMerger(const std::vector<double>& gains) {
    phase_ = Phase::kMerger;
    std::vector<Assignment> winners;
    for (size_t i : Ranking(gains)) {
      if (gains[i] < 0) winners.push_back(contestants_[i]);
    }
    if (winners.size() > 1) {
      const Assignment center = Filled(incumbent_->assignment);
      auto merger = Merge(space(), center, winners, *Learn(center)->Expected());
      if (merger.ok() && std::find(contestants_.begin(), contestants_.end(),
                                   *merger) == contestants_.end()) {
        pairs_.races.emplace_back(*merger, incumbent_->assignment);
        contestants_.push_back(*std::move(merger));
      }
    }
    return Ask(absl::StrCat("race ", race_, ", winners merged"), contestants_,
               samples_.Of(race_));
  }

  absl::StatusOr<Step> EndRace() {
    const std::vector<int32_t> samples = samples_.Of(race_);
    const Assignment& incumbent = incumbent_->assignment;
    const Assignment best = BestOf(contestants_, samples);
    if (measured_.Contest(best, incumbent, samples).mean < 0) {
      incumbent_ = Incumbent{best, measured_.Mean(best, samples)};
      misses_ = 0;
    } else {
      incumbent_->fitness = measured_.Mean(incumbent, samples);
      reach_ /= 2;
      ++misses_;
    }
    return NextRace();
  }

  absl::StatusOr<Step> BeginDecision() {
    phase_ = Phase::kDecision;
    std::vector<Assignment> asked = anchors_;
    if (!IsAnchor(incumbent_->assignment)) {
      asked.push_back(incumbent_->assignment);
    }
    return Ask("decision on untouched samples", asked, samples_.decision());
  }

  bool IsAnchor(const Assignment& assignment) const {
    return std::find(anchors_.begin(), anchors_.end(), assignment) !=
           anchors_.end();
  }

  absl::StatusOr<Step> Decide() {
    const Assignment anchor = BestOf(anchors_, samples_.decision());
    const Assignment& found = incumbent_->assignment;
    const PairedDifference gain =
        measured_.Contest(found, anchor, samples_.decision());
    const double error = std::sqrt(gain.variance / std::max(1, gain.samples));
    const bool better = gain.mean + kSure * error < 0;
    const Assignment winner = better ? found : anchor;
    return Finish(winner, measured_.Mean(winner, samples_.decision()));
  }

  nlohmann::json SaveState() const override {
    return {{"phase", static_cast<int>(phase_)},
            {"race", race_},
            {"rung", rung_},
            {"misses", misses_},
            {"reach", Bits(reach_)},
            {"descent", descent_},
            {"pivot", pivot_.levels},
            {"stand", stand_.levels},
            {"anchors", Levels(anchors_)},
            {"contestants", Levels(contestants_)},
            {"wholes", Levels(pairs_.wholes)},
            {"races", Levels(pairs_.races)},
            {"measured", measured_.Save()}};
  }

  absl::Status LoadState(const nlohmann::json& state) override {
    const int phase = state.at("phase").get<int>();
    race_ = state.at("race").get<int>();
    rung_ = state.at("rung").get<size_t>();
    misses_ = state.at("misses").get<int>();
    descent_ = state.at("descent").get<int>();
    reach_ = FromBits(state.at("reach").get<uint64_t>());
    bool sound = phase >= 0 && phase <= static_cast<int>(Phase::kDecision) &&
                 descent_ >= 0 && descent_ <= kDescentSteps && race_ >= 0 &&
                 race_ <= options_.races && rung_ < options_.samples.size() &&
                 reach_ >= 0 && reach_ <= 1;
    phase_ = static_cast<Phase>(phase);
    if (phase_ != Phase::kAnchors) {
      sound = sound && Load(state.at("pivot"), pivot_) &&
              Load(state.at("stand"), stand_);
    }
    for (const auto& [name, list] : {std::pair{"anchors", &anchors_},
                                     std::pair{"contestants", &contestants_}}) {
      list->clear();
      for (const nlohmann::json& levels : state.at(name)) {
        sound = sound && Load(levels, list->emplace_back());
      }
    }
    for (const auto& [name, list] : {std::pair{"wholes", &pairs_.wholes},
                                     std::pair{"races", &pairs_.races}}) {
      list->clear();
      for (const nlohmann::json& pair : state.at(name)) {
        auto& [a, b] = list->emplace_back();
        sound = sound && Load(pair.at(0), a) && Load(pair.at(1), b);
      }
    }
    if (!sound || anchors_.empty()) {
      return absl::DataLossError("snapshot holds an impossible guided state");
    }
    return measured_.Load(space(), state.at("measured"));
  }

  // False unless it lies in the space.
  bool Load(const nlohmann::json& levels, Assignment& assignment) const {
    assignment.levels = levels.get<std::vector<uint16_t>>();
    return Validate(space(), assignment).ok();
  }
  static nlohmann::json Levels(const std::vector<Assignment>& assignments) {
    nlohmann::json levels = nlohmann::json::array();
    for (const Assignment& each : assignments) levels.push_back(each.levels);
    return levels;
  }
  static nlohmann::json Levels(const std::vector<EffectModel::Pair>& pairs) {
    nlohmann::json levels = nlohmann::json::array();
    for (const auto& [a, b] : pairs) levels.push_back({a.levels, b.levels});
    return levels;
  }

  const GuidedOptions options_;
  const LearnSurrogate learn_;
  const Assignment dearest_;
  const std::vector<uint16_t> restored_;  // levels of units in restored modules
  const bool modules_;                    // some can be dropped
  const RaceSamples samples_;

  Phase phase_ = Phase::kAnchors;
  int race_ = 0;  // 1… once races have begun
  size_t rung_ = 0;
  int misses_ = 0;
  double reach_ = 1;
  int descent_ = 0;   // steps taken
  Assignment stand_;  // where the descent is
  Assignment pivot_;  // around which effects are told
  std::vector<Assignment> anchors_;
  std::vector<Assignment> contestants_;
  EffectModel::Pairs pairs_;
  Measured measured_;
};

}  // namespace

std::unique_ptr<Strategy> NewGuided(StrategyInput input,
                                    const GuidedOptions& options,
                                    StrategyIdentity identity,
                                    LearnSurrogate learn) {
  return std::make_unique<Guided>(std::move(input), options,
                                  std::move(identity), std::move(learn));
}

std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const GuidedOptions& options,
                                      StrategyIdentity identity) {
  return NewGuided(std::move(input), options, std::move(identity),
                   LearnEffects);
}

}  // namespace evopress::search
