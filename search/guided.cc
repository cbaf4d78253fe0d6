#include "search/guided.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "search/digest.h"
#include "search/effect_model.h"
#include "search/grouping.h"
#include "search/inheritance.h"
#include "search/knapsack.h"
#include "search/measured.h"
#include "search/proposals.h"
#include "search/rng.h"
#include "search/trust_region.h"
#include "search/uniform.h"
#include "search/weighted_dp.h"

namespace evopress::search {
namespace {

// Of a race, this share goes on to the next set of samples, and at least two.
constexpr size_t kRaceShare = 4;
// Units of a type that are probed together: one in so many.
constexpr size_t kTypeShare = 4;
// One-sided 95 %: how sure a decision against an anchor must be.
constexpr double kSure = 1.645;
// How far earlier finalists move on the way to this budget: a share of what
// the model would change.
constexpr double kInheritedReach = 0.25;
// Slots of the generator that no candidate has.
constexpr uint32_t kPoolSlot = 0xFFFFFFFE;

enum class Phase { kAnchors, kScan, kTypes, kRace, kDecision };

size_t GoOn(size_t contestants) {
  return std::min(
      contestants,
      std::max<size_t>(2, (contestants + kRaceShare - 1) / kRaceShare));
}

// Samples of races, in drawn order, and of the decision.
struct Pool {
  std::vector<int32_t> races;
  std::vector<int32_t> decision;
};

Pool DrawPool(const StrategyInput& input, const GuidedOptions& options) {
  Pool pool;
  Rng rng(input.seed, 0, kPoolSlot);
  pool.races.resize(static_cast<size_t>(input.num_samples));
  std::iota(pool.races.begin(), pool.races.end(), 0);
  rng.Shuffle(pool.races);
  pool.decision.assign(pool.races.end() - options.decision_samples,
                       pool.races.end());
  pool.races.resize(pool.races.size() - pool.decision.size());
  std::sort(pool.decision.begin(), pool.decision.end());
  return pool;
}

// Units with a choice that no probe of `probes` has lowered.
std::vector<size_t> UnitsToProbe(const SearchSpace& space,
                                 const std::vector<EffectModel::Pair>& probes) {
  std::vector<bool> probed(space.units.size());
  for (const auto& [probe, dearest] : probes) {
    for (size_t u = 0; u < probed.size(); ++u) {
      if (probe.levels[u] != dearest.levels[u]) probed[u] = true;
    }
  }
  std::vector<size_t> units;
  for (size_t u = 0; u < probed.size(); ++u) {
    if (!probed[u] && space.units[u].menu.size() > 1) units.push_back(u);
  }
  return units;
}

std::vector<std::vector<size_t>> UnitsByType(const SearchSpace& space) {
  std::map<std::string, std::vector<size_t>> types;
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (space.units[u].menu.size() < 2) continue;
    types[RoleName(space.units[u].name)].push_back(u);
  }
  std::vector<std::vector<size_t>> units;
  for (auto& [type, members] : types) units.push_back(std::move(members));
  return units;
}

// Samples that one race asks for at most.
int64_t RaceSamples(const GuidedOptions& options) {
  size_t contestants = static_cast<size_t>(options.candidates);
  int64_t asked = options.samples.back();  // the incumbent's
  int64_t before = 0;
  for (int32_t samples : options.samples) {
    asked += static_cast<int64_t>(contestants) * (samples - before);
    contestants = GoOn(contestants);
    before = samples;
  }
  return asked;
}

constexpr int64_t kMostAnchors = 3;

int64_t DecisionSamples(const GuidedOptions& options) {
  return (kMostAnchors + 1) * options.decision_samples;
}

class Guided : public StepwiseStrategy {
 public:
  Guided(StrategyInput input, const GuidedOptions& options,
         StrategyIdentity identity)
      : StepwiseStrategy(std::move(input), std::move(identity)),
        options_(options),
        dearest_(Dearest(space())),
        pool_(DrawPool(this->input(), options)),
        inheritance_(Inherit(this->input(), pool_.decision)) {
    measured_.Add(this->input().archive, options_.fitness, pool_.decision);
    PlanProbes();
  }

 private:
  absl::StatusOr<Step> First() override {
    auto uniform = DearestUniform(space());
    if (uniform.ok()) AddAnchor("uniform", uniform->assignment);
    auto dp = SolveKnapsack(space(), input().layer_errors);
    if (dp.ok()) AddAnchor("dp", *dp);
    if (anchors_.empty()) return dp.status();
    SetIncumbent(anchors_.front(), std::nullopt);
    phase_ = Phase::kAnchors;
    return Ask("uniform and dp", anchors_, Chunk(0));
  }

  absl::StatusOr<Step> Next(const Round& round,
                            const std::vector<double>&) override {
    if (!round.evaluations.empty()) {
      measured_.Add(round, results(), options_.fitness);
    }
    switch (phase_) {
      case Phase::kAnchors:
        return Scan();
      case Phase::kScan:
        CompareAnchors();
        return ProbeTypes();
      case Phase::kTypes:
        return NextRace();
      case Phase::kRace:
        return EndRung();
      case Phase::kDecision:
        return Decide();
    }
    return absl::InternalError("guided has no such phase");
  }

  void AddAnchor(const std::string& name, const Assignment& anchor) {
    if (!AnchorName(anchor).empty()) return;
    anchors_.push_back(anchor);
    anchor_names_.push_back(name);
  }

  // Empty for what is none.
  std::string AnchorName(const Assignment& assignment) const {
    const auto found = std::find(anchors_.begin(), anchors_.end(), assignment);
    if (found == anchors_.end()) return "";
    return anchor_names_[static_cast<size_t>(found - anchors_.begin())];
  }

  void SetIncumbent(const Assignment& assignment,
                    std::optional<double> fitness) {
    incumbent_ = Incumbent{assignment, fitness, AnchorName(assignment)};
  }

  // The samples of race `race` up to its `rung`, in rising order; of the last
  // rung by default. Each set contains the one before it.
  std::vector<int32_t> Chunk(int race, size_t rung) const {
    std::vector<int32_t> chunk;
    const size_t first = static_cast<size_t>(race) *
                         static_cast<size_t>(options_.samples.back());
    for (size_t i = 0; i < static_cast<size_t>(options_.samples[rung]); ++i) {
      chunk.push_back(pool_.races[(first + i) % pool_.races.size()]);
    }
    std::sort(chunk.begin(), chunk.end());
    return chunk;
  }
  std::vector<int32_t> Chunk(int race) const {
    return Chunk(race, options_.samples.size() - 1);
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

  absl::StatusOr<Step> Scan() {
    const std::vector<int32_t> samples = Chunk(0);
    const Assignment best = BestOf(anchors_, samples);
    SetIncumbent(best, measured_.Mean(best, samples));
    pivot_ = best;
    std::vector<Assignment> asked = {dearest_};
    for (size_t i = inheritance_.probes.size(); i < pairs_.probes.size(); ++i) {
      asked.push_back(pairs_.probes[i].first);
    }
    phase_ = Phase::kScan;
    return Ask("effect of each unit alone", asked, Chunk(0, 0));
  }

  // Every unit alone at the level below the one nearest the target: what is at
  // stake when it is lowered. Inherited probes, of whatever level, come first.
  void PlanProbes() {
    const std::vector<uint16_t> targets = ProbeLevels(space());
    pairs_.probes = inheritance_.probes;
    for (size_t u : UnitsToProbe(space(), inheritance_.probes)) {
      Assignment probe = dearest_;
      probe.levels[u] = targets[u] > 0 ? targets[u] - 1 : 0;
      pairs_.probes.emplace_back(std::move(probe), dearest_);
    }
  }

  void CompareAnchors() {
    for (const Assignment& anchor : anchors_) {
      if (anchor != dearest_) pairs_.wholes.emplace_back(anchor, dearest_);
      if (anchor != pivot_) pairs_.races.emplace_back(anchor, pivot_);
    }
  }

  // What whole types of units do around the pivot: some of each moved one level
  // down or up together. Single units would drown in the errors of all others.
  absl::StatusOr<Step> ProbeTypes() {
    std::vector<Assignment> asked;
    for (const std::vector<size_t>& units : UnitsByType(space())) {
      for (int step : {-1, 1}) {
        Assignment probe = pivot_;
        for (size_t i = units.size() % kTypeShare / 2; i < units.size();
             i += kTypeShare) {
          const size_t u = units[i];
          const int level = probe.levels[u] + step;
          if (level < 0 || level > dearest_.levels[u]) continue;
          probe.levels[u] = static_cast<uint16_t>(level);
        }
        if (probe != pivot_) asked.push_back(std::move(probe));
      }
    }
    for (const Assignment& probe : asked) {
      pairs_.races.emplace_back(probe, pivot_);
    }
    phase_ = Phase::kTypes;
    return Ask("effect of each type of unit", asked,
               Chunk(0, options_.samples.size() / 2));
  }

  absl::StatusOr<Step> NextRace() {
    const int64_t after =
        asked_samples() + RaceSamples(options_) + DecisionSamples(options_);
    if (race_ >= options_.races || misses_ >= kPatience ||
        (options_.max_samples > 0 && after > options_.max_samples)) {
      return BeginDecision();
    }
    ++race_;
    rung_ = 0;
    contestants_ = Candidates();
    if (contestants_.empty()) return BeginDecision();
    phase_ = Phase::kRace;
    return AskRung();
  }

  std::vector<Assignment> Candidates() {
    EffectModel::Pairs pairs = pairs_;
    pairs.races.insert(pairs.races.end(), inheritance_.races.begin(),
                       inheritance_.races.end());
    const EffectModel model(space(), input().layer_errors, pivot_, measured_,
                            pairs);
    std::set<Assignment> known = {incumbent_->assignment};
    for (const EffectModel::Pair& pair : pairs_.races) known.insert(pair.first);
    std::vector<Assignment> candidates;
    if (race_ == 1) {
      const auto optimum =
          SolveKnapsack(space(), model.Expected().Around(pivot_));
      if (optimum.ok()) {
        AddAnchor("weighted dp", *optimum);
        if (known.insert(*optimum).second) candidates.push_back(*optimum);
      }
      AddInherited(model, known, candidates);
    }
    ProposalOptions options;
    options.count = options_.candidates - static_cast<int>(candidates.size());
    options.reach = reach_;
    options.seed = input().seed;
    options.race = race_;
    for (Assignment& found :
         Propose(space(), model, incumbent_->assignment, known, options)) {
      candidates.push_back(std::move(found));
    }
    return candidates;
  }

  // What earlier searches ended with, moved to this budget where it must be.
  void AddInherited(const EffectModel& model, std::set<Assignment>& known,
                    std::vector<Assignment>& candidates) const {
    const auto add = [&](const Assignment& found) {
      if (candidates.size() >= static_cast<size_t>(options_.candidates)) return;
      if (!WithinBudgets(space(), found)) return;
      if (known.insert(found).second) candidates.push_back(found);
    };
    for (const Assignment& finalist : inheritance_.finalists) {
      const auto moved =
          SolveWithinReach(space(), model.Expected().Around(finalist), finalist,
                           kInheritedReach);
      if (moved.ok()) add(*moved);
      add(finalist);
    }
  }

  absl::StatusOr<Step> AskRung() {
    std::vector<Assignment> asked = contestants_;
    asked.push_back(incumbent_->assignment);
    return Ask(absl::StrCat("race ", race_, ", stage ", rung_ + 1, " of ",
                            options_.samples.size()),
               asked, Chunk(race_, rung_));
  }

  absl::StatusOr<Step> EndRung() {
    const Assignment& incumbent = incumbent_->assignment;
    const std::vector<int32_t> samples = Chunk(race_, rung_);
    const bool last = rung_ + 1 == options_.samples.size();
    std::vector<double> gains;
    for (const Assignment& contestant : contestants_) {
      if (rung_ == 0) pairs_.races.emplace_back(contestant, incumbent);
      gains.push_back(measured_.Compare(contestant, incumbent, samples).mean);
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
    const size_t best = Ranking(gains).front();
    if (gains[best] < 0) {
      SetIncumbent(contestants_[best],
                   measured_.Mean(contestants_[best], samples));
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
    if (AnchorName(incumbent_->assignment).empty()) {
      asked.push_back(incumbent_->assignment);
    }
    return Ask("decision on untouched samples", asked, pool_.decision);
  }

  absl::StatusOr<Step> Decide() {
    const Assignment anchor = BestOf(anchors_, pool_.decision);
    const Assignment& found = incumbent_->assignment;
    const PairedDifference gain =
        measured_.Compare(found, anchor, pool_.decision);
    const double error = std::sqrt(gain.variance / std::max(1, gain.samples));
    const bool better = gain.mean + kSure * error < 0;
    const Assignment winner = better ? found : anchor;
    return Finish(winner, measured_.Mean(winner, pool_.decision),
                  AnchorName(winner));
  }

  nlohmann::json SaveState() const override {
    return {{"phase", static_cast<int>(phase_)},
            {"race", race_},
            {"rung", rung_},
            {"misses", misses_},
            {"reach", Bits(reach_)},
            {"pivot", pivot_.levels},
            {"anchors", Levels(anchors_)},
            {"anchor_names", anchor_names_},
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
    reach_ = FromBits(state.at("reach").get<uint64_t>());
    bool sound = phase >= 0 && phase <= static_cast<int>(Phase::kDecision) &&
                 race_ >= 0 && race_ <= options_.races &&
                 rung_ < options_.samples.size() && reach_ >= 0 && reach_ <= 1;
    phase_ = static_cast<Phase>(phase);
    if (phase_ != Phase::kAnchors) {
      sound = sound && Load(state.at("pivot"), pivot_);
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
    anchor_names_ = state.at("anchor_names").get<std::vector<std::string>>();
    sound = sound && anchor_names_.size() == anchors_.size();
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
  const Assignment dearest_;
  const Pool pool_;
  const Inheritance inheritance_;

  Phase phase_ = Phase::kAnchors;
  int race_ = 0;  // 1… once races have begun
  size_t rung_ = 0;
  int misses_ = 0;
  double reach_ = 1;
  Assignment pivot_;  // the best anchor, around which effects are told
  std::vector<Assignment> anchors_;
  std::vector<std::string> anchor_names_;
  std::vector<Assignment> contestants_;
  EffectModel::Pairs pairs_;
  Measured measured_;
};

}  // namespace

int64_t ScanSamples(const StrategyInput& input, const GuidedOptions& options) {
  const std::vector<EffectModel::Pair> probes =
      input.archive.empty()
          ? std::vector<EffectModel::Pair>()
          : Inherit(input, DrawPool(input, options).decision).probes;
  const auto units =
      static_cast<int64_t>(UnitsToProbe(input.space, probes).size());
  return (units + 1) * options.samples.front();
}

int64_t LeastSamples(const StrategyInput& input, const GuidedOptions& options) {
  return ScanSamples(input, options) +
         (kMostAnchors - 1) * options.samples.back() +
         static_cast<int64_t>(2 * UnitsByType(input.space).size()) *
             options.samples[options.samples.size() / 2] +
         DecisionSamples(options);
}

absl::Status CheckOptions(const StrategyInput& input,
                          const GuidedOptions& options) {
  if (options.races < 1 || options.races > kMaxCandidates) {
    return absl::InvalidArgumentError(
        absl::StrCat("races=", options.races, " is not in 1…", kMaxCandidates));
  }
  if (options.candidates < 2 || options.candidates > kMaxCandidates) {
    return absl::InvalidArgumentError(absl::StrCat(
        "candidates=", options.candidates, " is not in 2…", kMaxCandidates));
  }
  if (options.samples.empty()) {
    return absl::InvalidArgumentError("guided needs a stage of samples");
  }
  if (options.decision_samples < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("decision_samples=", options.decision_samples,
                     " must be at least 2, to judge their spread"));
  }
  int32_t before = 0;
  for (size_t i = 0; i < options.samples.size(); ++i) {
    if (options.samples[i] <= before) {
      return absl::InvalidArgumentError(
          absl::StrCat("samples[", i, "]=", options.samples[i],
                       " must exceed the stage before it, ", before));
    }
    before = options.samples[i];
  }
  if (int64_t{before} + options.decision_samples > input.num_samples) {
    return absl::InvalidArgumentError(
        absl::StrCat("samples[", options.samples.size() - 1, "]=", before,
                     " and decision_samples=", options.decision_samples,
                     " together exceed the ", input.num_samples,
                     " calibration samples; lower them or calibrate on more"));
  }
  const int64_t least = LeastSamples(input, options);
  if (options.max_samples != 0 && options.max_samples < least) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_samples=", options.max_samples, " is less than the ", least,
        " that anchors, one probe a unit and the decision need"));
  }
  return absl::OkStatus();
}

int64_t PlannedSamples(const StrategyInput& input,
                       const GuidedOptions& options) {
  const int64_t all = LeastSamples(input, options) +
                      int64_t{options.races} * RaceSamples(options);
  return options.max_samples > 0 ? std::min(options.max_samples, all) : all;
}

std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const GuidedOptions& options,
                                      StrategyIdentity identity) {
  return std::make_unique<Guided>(std::move(input), options,
                                  std::move(identity));
}

}  // namespace evopress::search
