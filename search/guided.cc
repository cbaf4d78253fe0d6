#include "search/guided.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "search/descent.h"
#include "search/drop_text.h"
#include "search/effect_model.h"
#include "search/guided_plan.h"
#include "search/guided_state.h"
#include "search/inheritance.h"
#include "search/knapsack.h"
#include "search/measured.h"
#include "search/module_surrogate.h"
#include "search/probes.h"
#include "search/proposals.h"
#include "search/race_samples.h"
#include "search/trust_region.h"
#include "search/uniform.h"

namespace evopress::search {
namespace {

// One-sided 95 %: how sure a decision against an anchor must be.
constexpr double kSure = 1.645;
// How far the first solutions go from the best plain one, beside that which
// goes all the way; see trust_region.h.
constexpr double kStartReaches[] = {0.5, 0.25};
static_assert(std::size(kStartReaches) == kShyStarts);
// How far earlier finalists move on the way to this budget: a share of what
// the model would change.
constexpr double kInheritedReach = 0.25;

// The surrogate of the strategy: the effect model, and modules as measured.
std::unique_ptr<Surrogate> LearnEffects(const Lesson& lesson) {
  auto layers = std::make_unique<EffectModel>(lesson.space, lesson.errors,
                                              lesson.pivot, lesson.measured);
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
        inheritance_(Inherit(this->input(), samples_.decision())) {
    at_.measured = Measured(domains());
  }

 private:
  absl::StatusOr<Step> First() override {
    at_.measured.Add(archive(), options_.fitness, samples_.decision());
    auto uniform = DearestUniform(space());
    if (uniform.ok()) AddAnchor("uniform", uniform->assignment);
    auto dp = SolveKnapsack(space(), input().layer_errors);
    if (dp.ok()) AddAnchor("dp", *dp);
    for (size_t i = 0; i < options_.anchors.size(); ++i) {
      AddAnchor(AnchorName(options_, i),
                Canonical(space(), options_.anchors[i]));
    }
    if (at_.anchors.empty()) return dp.status();
    SetIncumbent(at_.anchors.front(), std::nullopt);
    at_.phase = GuidedPhase::kAnchors;
    return Ask("anchors", at_.anchors, StartSamples());
  }

  absl::StatusOr<Step> Next(const Round& round,
                            const std::vector<double>&) override {
    if (!round.evaluations.empty()) {
      at_.measured.Add(round, results(), options_.fitness);
    }
    switch (at_.phase) {
      case GuidedPhase::kAnchors:
        return Scan();
      case GuidedPhase::kScan:
        if (OnlyDrops(space())) {
          auto score = DropByScore(space(), at_.measured, samples_.Of(0, 0));
          if (score.ok()) AddAnchor("drop-kl", *score);
        }
        return modules_ ? Descend() : MeasureStarts();
      case GuidedPhase::kDescent:
        return Descend();
      case GuidedPhase::kStart:
        return BeginAtBest();
      case GuidedPhase::kModules:
        return BeginRace();
      case GuidedPhase::kRace:
        return EndRung();
      case GuidedPhase::kDecision:
        return Decide();
    }
    return absl::InternalError("guided has no such phase");
  }

  void AddAnchor(const std::string& name, const Assignment& anchor) {
    if (IsAnchor(anchor)) return;
    at_.anchors.push_back(anchor);
    at_.anchor_names.push_back(name);
  }

  bool IsAnchor(const Assignment& assignment) const {
    return !NameOf(assignment).empty();
  }

  // Empty for what is no anchor.
  std::string NameOf(const Assignment& assignment) const {
    const auto found =
        std::find(at_.anchors.begin(), at_.anchors.end(), assignment);
    if (found == at_.anchors.end()) return "";
    return at_.anchor_names[static_cast<size_t>(found - at_.anchors.begin())];
  }

  void SetIncumbent(const Assignment& assignment,
                    std::optional<double> fitness) {
    incumbent_ = Incumbent{assignment, fitness, NameOf(assignment)};
  }

  // Asks for what is not yet measured; if all is, goes on at once.
  absl::StatusOr<Step> Ask(const std::string& purpose,
                           const std::vector<Assignment>& assignments,
                           const std::vector<int32_t>& samples) {
    std::vector<Evaluation> evaluations;
    for (const Assignment& assignment : assignments) {
      std::vector<int32_t> missing = at_.measured.Missing(assignment, samples);
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
      means.push_back(at_.measured.Mean(assignment, samples));
    }
    return assignments[Ranking(means).front()];
  }

  // With a level that is meant for every unit, active or not.
  Assignment Filled(const Assignment& assignment) const {
    return FillInactive(space(), assignment, restored_);
  }

  std::unique_ptr<Surrogate> Learn(const Assignment& center) const {
    return learn_(
        {space(), input().layer_errors, at_.pivot, center, at_.measured});
  }

  // Those that tell where to start.
  std::vector<int32_t> StartSamples() const {
    return samples_.Of(0, StartStage(options_));
  }

  absl::StatusOr<Step> Scan() {
    at_.pivot = Filled(BestOf(at_.anchors, StartSamples()));
    at_.stand = dearest_;
    std::vector<Assignment> asked = {dearest_};
    for (Assignment& probe : ProbesOfUnits(space(), inheritance_.probed)) {
      asked.push_back(std::move(probe));
    }
    at_.phase = GuidedPhase::kScan;
    return Ask("effect of each unit alone", asked, samples_.Of(0, 0));
  }

  // One step of the descent from where modules have just been measured.
  absl::StatusOr<Step> Descend() {
    const Assignment center = Filled(at_.stand);
    const Effects effects = Learn(center)->Expected()->Around(center);
    ++at_.descent;
    absl::StatusOr<Assignment> next =
        StepDown(space(), effects, at_.stand, at_.descent >= kDescentSteps);
    // Budgets that no programme meets are met by the anchors.
    if (!next.ok()) return MeasureStarts();
    at_.stand = *std::move(next);
    if (WithinBudgets(space(), at_.stand)) return MeasureStarts();
    std::vector<Assignment> asked = {at_.stand};
    for (ModuleProbe& probe : ProbesOfModules(space(), Filled(at_.stand))) {
      asked.push_back(std::move(probe.assignment));
    }
    at_.phase = GuidedPhase::kDescent;
    return Ask(absl::StrCat("descent, step ", at_.descent), asked,
               samples_.OfStep(at_.descent));
  }

  // All that the search may start from.
  std::vector<Assignment> Starts() const {
    std::vector<Assignment> starts = at_.anchors;
    starts.insert(starts.end(), at_.contestants.begin(), at_.contestants.end());
    return starts;
  }

  absl::StatusOr<Step> MeasureStarts() {
    at_.contestants.clear();
    const auto add = [this](const Assignment& start) {
      if (WithinBudgets(space(), start) && !IsAnchor(start)) {
        at_.contestants.push_back(start);
      }
    };
    if (modules_) {
      add(at_.stand);
    } else {
      const Effects effects = Learn(at_.pivot)->Expected()->Around(at_.pivot);
      const auto optimum = SolveKnapsack(space(), effects);
      if (optimum.ok()) AddAnchor("weighted-dp", *optimum);
      for (double reach : kStartReaches) {
        const auto near = SolveWithinReach(space(), effects, at_.pivot, reach);
        if (near.ok()) add(*near);
      }
    }
    at_.phase = GuidedPhase::kStart;
    return Ask("where to start", Starts(), StartSamples());
  }

  absl::StatusOr<Step> BeginAtBest() {
    const std::vector<int32_t> samples = StartSamples();
    const Assignment best = BestOf(Starts(), samples);
    SetIncumbent(best, at_.measured.Mean(best, samples));
    if (modules_) at_.pivot = Filled(best);
    return NextRace();
  }

  absl::StatusOr<Step> NextRace() {
    const int64_t after = asked_samples() + SamplesOfRace(space(), options_) +
                          SamplesOfDecision(options_);
    if (at_.race >= options_.races || at_.misses >= kPatience ||
        (options_.max_samples > 0 && after > options_.max_samples)) {
      return BeginDecision();
    }
    ++at_.race;
    at_.rung = 0;
    if (!modules_) return BeginRace();
    std::vector<Assignment> asked = {incumbent_->assignment};
    for (ModuleProbe& probe :
         ProbesOfModules(space(), Filled(incumbent_->assignment))) {
      asked.push_back(std::move(probe.assignment));
    }
    at_.phase = GuidedPhase::kModules;
    return Ask(absl::StrCat("race ", at_.race, ", effect of each module"),
               asked, samples_.Apart(at_.race));
  }

  absl::StatusOr<Step> BeginRace() {
    at_.contestants = Candidates();
    if (at_.contestants.empty()) return BeginDecision();
    at_.phase = GuidedPhase::kRace;
    return AskRung();
  }

  std::vector<Assignment> Candidates() {
    const Assignment center = Filled(incumbent_->assignment);
    const std::unique_ptr<Surrogate> surrogate = Learn(center);
    std::set<Assignment> known(at_.raced.begin(), at_.raced.end());
    known.insert(incumbent_->assignment);
    std::vector<Assignment> candidates;
    if (at_.race == 1) {
      const auto optimum =
          SolveKnapsack(space(), surrogate->Expected()->Around(center));
      if (optimum.ok() && known.insert(*optimum).second) {
        candidates.push_back(*optimum);
      }
      AddInherited(*surrogate, known, candidates);
    }
    ProposalOptions options;
    options.count = options_.candidates - static_cast<int>(candidates.size());
    options.reach = at_.reach;
    options.seed = input().seed;
    options.race = at_.race;
    for (Assignment& found :
         Propose(space(), *surrogate, center, known, options)) {
      candidates.push_back(std::move(found));
    }
    return candidates;
  }

  // What earlier searches ended with, moved to this budget where it must be.
  void AddInherited(const Surrogate& around_incumbent,
                    std::set<Assignment>& known,
                    std::vector<Assignment>& candidates) const {
    const auto add = [&](const Assignment& found) {
      if (candidates.size() >= static_cast<size_t>(options_.candidates)) return;
      if (!WithinBudgets(space(), found)) return;
      if (known.insert(found).second) candidates.push_back(found);
    };
    for (const Assignment& finalist : inheritance_.finalists) {
      const Assignment center = Filled(finalist);
      // What modules do holds where they were measured only.
      const std::unique_ptr<Surrogate> there =
          modules_ ? Learn(center) : nullptr;
      const Surrogate& surrogate = modules_ ? *there : around_incumbent;
      const auto moved =
          SolveWithinReach(space(), surrogate.Expected()->Around(center),
                           center, kInheritedReach);
      if (moved.ok()) add(*moved);
      add(finalist);
    }
  }

  absl::StatusOr<Step> AskRung() {
    std::vector<Assignment> asked = at_.contestants;
    asked.push_back(incumbent_->assignment);
    return Ask(absl::StrCat("race ", at_.race, ", stage ", at_.rung + 1, " of ",
                            options_.samples.size()),
               asked, samples_.Of(at_.race, at_.rung));
  }

  absl::StatusOr<Step> EndRung() {
    const Assignment& incumbent = incumbent_->assignment;
    const std::vector<int32_t> samples = samples_.Of(at_.race, at_.rung);
    const bool last = at_.rung == samples_.last_rung();
    std::vector<double> gains;
    for (const Assignment& contestant : at_.contestants) {
      if (at_.rung == 0) at_.raced.push_back(contestant);
      gains.push_back(
          at_.measured.Contest(contestant, incumbent, samples).mean);
    }
    if (!last) {
      std::vector<Assignment> survivors;
      for (size_t i : Survivors(gains, GoOn(gains.size()))) {
        survivors.push_back(at_.contestants[i]);
      }
      at_.contestants = std::move(survivors);
      ++at_.rung;
      return AskRung();
    }
    const size_t best = Ranking(gains).front();
    if (gains[best] < 0) {
      const Assignment& found = at_.contestants[best];
      SetIncumbent(found, at_.measured.Mean(found, samples));
      at_.misses = 0;
    } else {
      incumbent_->fitness = at_.measured.Mean(incumbent, samples);
      at_.reach /= 2;
      ++at_.misses;
    }
    return NextRace();
  }

  absl::StatusOr<Step> BeginDecision() {
    at_.phase = GuidedPhase::kDecision;
    std::vector<Assignment> asked = at_.anchors;
    if (!IsAnchor(incumbent_->assignment)) {
      asked.push_back(incumbent_->assignment);
    }
    return Ask("decision on untouched samples", asked, samples_.decision());
  }

  absl::StatusOr<Step> Decide() {
    const Assignment anchor = BestOf(at_.anchors, samples_.decision());
    const Assignment& found = incumbent_->assignment;
    const PairedDifference gain =
        at_.measured.Contest(found, anchor, samples_.decision());
    const double error = std::sqrt(gain.variance / std::max(1, gain.samples));
    const bool better = gain.mean + kSure * error < 0;
    const Assignment winner = better ? found : anchor;
    return Finish(winner, at_.measured.Mean(winner, samples_.decision()),
                  NameOf(winner));
  }

  nlohmann::json SaveState() const override { return at_.Save(); }
  absl::Status LoadState(const nlohmann::json& state) override {
    return at_.Load(space(), options_, state);
  }

  const GuidedOptions options_;
  const LearnSurrogate learn_;
  const Assignment dearest_;
  const std::vector<uint16_t> restored_;  // levels of units in restored modules
  const bool modules_;                    // some can be dropped
  const RaceSamples samples_;
  const Inheritance inheritance_;

  GuidedState at_;
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
