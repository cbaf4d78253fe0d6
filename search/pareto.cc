#include "search/pareto.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "search/digest.h"
#include "search/guided_plan.h"
#include "search/knapsack.h"
#include "search/uniform.h"

namespace evopress::search {
namespace {

// Indices of the targets: the middle limit, those below it, those above it.
std::vector<size_t> OrderOf(const std::vector<Target>& targets) {
  std::vector<size_t> rising(targets.size());
  std::iota(rising.begin(), rising.end(), size_t{0});
  std::sort(rising.begin(), rising.end(), [&](size_t a, size_t b) {
    return targets[a].limit < targets[b].limit;
  });
  const auto middle = rising.begin() + static_cast<long>(rising.size() / 2);
  std::vector<size_t> order(std::make_reverse_iterator(middle + 1),
                            rising.rend());
  order.insert(order.end(), middle + 1, rising.end());
  return order;
}

// The input of the search under one limit.
StrategyInput InputFor(const StrategyInput& input, size_t target,
                       Archive archive) {
  StrategyInput one = input;
  one.space.budgets[0].limit = input.targets[target].limit;
  one.targets.clear();
  one.archive = std::move(archive);
  return one;
}

// The options of that search: without what lies within the greatest limit but
// not within this one.
StrategyOptions OptionsFor(const StrategyInput& input, const SearchSpace& one,
                           const StrategyOptions& options) {
  const auto* all = std::get_if<GuidedOptions>(&options);
  if (all == nullptr) return options;
  GuidedOptions guided = *all;
  guided.anchors.clear();
  guided.anchor_names.clear();
  for (size_t i = 0; i < all->anchors.size(); ++i) {
    const Assignment& anchor = all->anchors[i];
    if (Validate(one, anchor).ok() && !WithinBudgets(one, anchor) &&
        WithinBudgets(input.space, anchor)) {
      continue;
    }
    guided.anchors.push_back(anchor);
    guided.anchor_names.push_back(AnchorName(*all, i));
  }
  return guided;
}

// Tokens of each later search, as a share of the first one's. With it six
// budgets take at most two and a half times the tokens of one.
constexpr double kLaterShare = 0.3;

int64_t Later(int64_t first) {
  return static_cast<int64_t>(kLaterShare * static_cast<double>(first));
}

// Later scans find what the first one has measured.
int64_t LaterLeastSamples(const StrategyInput& input,
                          const GuidedOptions& options) {
  return LeastSamples(input, options) - ScanSamples(input, options) +
         options.samples.front();
}

int64_t Sum(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum)
             ? std::numeric_limits<int64_t>::max()
             : sum;
}

class Pareto : public StepwiseStrategy {
 public:
  Pareto(StrategyInput input, const StrategyOptions& options,
         StrategyIdentity identity)
      : StepwiseStrategy(std::move(input), std::move(identity)),
        options_(options),
        order_(OrderOf(this->input().targets)),
        best_(order_.size()),
        standings_(order_.size()),
        archive_(this->input().archive) {
    for (size_t t = 0; t < best_.size(); ++t) best_[t] = PlainSolution(t);
  }

  std::optional<Standing> standing(const Assignment& incumbent) const override {
    for (const std::optional<Standing>& standing : standings_) {
      if (standing.has_value() && standing->assignment == incumbent) {
        return standing;
      }
    }
    return std::nullopt;
  }

  std::vector<Incumbent> incumbents() const override {
    std::vector<Incumbent> all;
    for (const std::optional<Incumbent>& best : best_) {
      if (!best.has_value()) return {};
      all.push_back(*best);
    }
    return all;
  }

 private:
  // The searches do, each in units of its own.
  bool ScalesDomains() const override { return false; }

  absl::StatusOr<Step> First() override { return Advance(StartSearch()); }

  absl::StatusOr<Step> Next(const Round& round,
                            const std::vector<double>&) override {
    AddTo(archive_, round, results());
    return Advance(search_->Tell(Answers()));
  }

  // Until something must be measured, or nothing is left to search.
  absl::StatusOr<Step> Advance(absl::StatusOr<Step> step) {
    for (;;) {
      if (!step.ok()) return step.status();
      KeepBest();
      if (const Round* round = std::get_if<Round>(&*step)) {
        asked_ = *round;
        std::vector<Evaluation> unknown = Unknown();
        if (!unknown.empty()) {
          return NewRound(absl::StrCat(input().targets[order_[at_]].name, ": ",
                                       asked_.purpose),
                          std::move(unknown));
        }
        step = search_->Tell(Answers());
      } else if (++at_ < order_.size()) {
        step = StartSearch();
      } else {
        const Incumbent& winner = *best_[Loosest()];
        return Finish(
            winner.assignment,
            winner.fitness.value_or(std::numeric_limits<double>::infinity()),
            winner.anchor);
      }
    }
  }

  absl::StatusOr<Step> StartSearch() {
    started_ = archive_;
    if (const auto* guided = std::get_if<GuidedOptions>(&options_)) {
      bound_ = Bound(*guided);
    }
    if (absl::Status made = MakeSearch(); !made.ok()) return made;
    return search_->Start();
  }

  // Samples that the search about to start may ask for; 0: any.
  int64_t Bound(const GuidedOptions& options) {
    const auto left = static_cast<int64_t>(order_.size() - at_);
    int64_t least =
        LeastSamples(InputFor(input(), order_[at_], started_), options);
    int64_t share = 0;
    if (at_ == 0) {
      if (options.max_samples == 0) return 0;
      share = static_cast<int64_t>(static_cast<double>(options.max_samples) /
                                   (1 + kLaterShare * (left - 1)));
    } else {
      if (at_ == 1) total_ = asked_samples() + left * Later(asked_samples());
      // What those before have left is for all that come.
      share = (total_ - asked_samples()) / left;
    }
    if (options.max_samples > 0) {
      int64_t rest = options.max_samples - asked_samples();
      for (size_t later = at_ + 1; later < order_.size(); ++later) {
        rest -= LaterLeastSamples(
            InputFor(input(), order_[later], input().archive), options);
      }
      share = std::min(share, rest);
    }
    return std::max(least, share);
  }

  absl::Status MakeSearch() {
    StrategyInput one = InputFor(input(), order_[at_], started_);
    StrategyOptions options = OptionsFor(input(), one.space, options_);
    if (auto* guided = std::get_if<GuidedOptions>(&options)) {
      guided->max_samples = bound_;
    }
    auto search = MakeStrategy(std::move(one), options);
    if (!search.ok()) return search.status();
    search_ = *std::move(search);
    return absl::OkStatus();
  }

  // What of asked_ is not known.
  std::vector<Evaluation> Unknown() const {
    std::vector<Evaluation> unknown;
    for (const Evaluation& evaluation : asked_.evaluations) {
      const auto known = archive_.find(evaluation.assignment);
      Evaluation missing{evaluation.assignment, {}};
      for (int32_t sample : evaluation.samples) {
        if (known == archive_.end() || known->second.count(sample) == 0) {
          missing.samples.push_back(sample);
        }
      }
      if (!missing.samples.empty()) unknown.push_back(std::move(missing));
    }
    return unknown;
  }

  // To asked_. REQUIRES: all of it is known.
  RoundResults Answers() const {
    RoundResults answers;
    for (const Evaluation& evaluation : asked_.evaluations) {
      const auto& known = archive_.at(evaluation.assignment);
      std::vector<SampleSums>& sums = answers.emplace_back();
      for (int32_t sample : evaluation.samples) {
        sums.push_back(known.at(sample));
      }
    }
    return answers;
  }

  void KeepBest() {
    const size_t target = order_[at_];
    if (auto best = search_->incumbent()) {
      standings_[target] = search_->standing(best->assignment);
      best_[target] = std::move(best);
    }
    incumbent_ = best_[Loosest()];
  }

  // What wins if a limit of the job ends it before this target's turn.
  std::optional<Incumbent> PlainSolution(size_t target) const {
    const StrategyInput one = InputFor(input(), target, {});
    if (!one.layer_errors.empty()) {
      auto dp = SolveKnapsack(one.space, one.layer_errors);
      if (dp.ok()) return Incumbent{*std::move(dp), std::nullopt, "dp"};
    }
    auto uniform = DearestUniform(one.space);
    if (!uniform.ok()) return std::nullopt;
    return Incumbent{uniform->assignment, std::nullopt, "uniform"};
  }

  size_t Loosest() const {
    const auto& targets = input().targets;
    return static_cast<size_t>(
        std::max_element(targets.begin(), targets.end(),
                         [](const Target& a, const Target& b) {
                           return a.limit < b.limit;
                         }) -
        targets.begin());
  }

  nlohmann::json SaveState() const override {
    if (search_ == nullptr) return {};
    nlohmann::json best = nlohmann::json::array();
    for (const std::optional<Incumbent>& each : best_) {
      best.push_back(each.has_value() ? Save(*each) : nlohmann::json());
    }
    nlohmann::json standings = nlohmann::json::array();
    for (const std::optional<Standing>& each : standings_) {
      standings.push_back(each.has_value() ? Save(*each) : nlohmann::json());
    }
    return {{"at", std::min(at_, order_.size() - 1)},
            {"best", best},
            {"standings", standings},
            {"bound", bound_},
            {"total", total_},
            {"started", Save(started_)},
            {"archive", Save(archive_)},
            {"search", search_->Snapshot()}};
  }

  absl::Status LoadState(const nlohmann::json& state) override {
    at_ = state.at("at").get<size_t>();
    bound_ = state.at("bound").get<int64_t>();
    total_ = state.at("total").get<int64_t>();
    const nlohmann::json& best = state.at("best");
    const nlohmann::json& standings = state.at("standings");
    if (at_ >= order_.size() || best.size() != best_.size() ||
        standings.size() != standings_.size()) {
      return absl::DataLossError("snapshot holds an impossible target");
    }
    for (size_t t = 0; t < best_.size(); ++t) {
      best_[t].reset();
      if (best[t].is_null()) continue;
      auto loaded = LoadIncumbent(best[t]);
      if (!loaded.ok()) return loaded.status();
      best_[t] = *std::move(loaded);
    }
    for (size_t t = 0; t < standings_.size(); ++t) {
      standings_[t].reset();
      if (standings[t].is_null()) continue;
      auto loaded = LoadStanding(standings[t]);
      if (!loaded.ok()) return loaded.status();
      standings_[t] = *std::move(loaded);
    }
    absl::Status status = Load(state.at("started"), started_);
    if (status.ok()) status = Load(state.at("archive"), archive_);
    if (status.ok()) status = MakeSearch();
    if (!status.ok()) return status;
    auto step = search_->Restore(state.at("search").get<std::string>());
    if (!step.ok()) return step.status();
    if (const Round* round = std::get_if<Round>(&*step)) asked_ = *round;
    return absl::OkStatus();
  }

  using StepwiseStrategy::Save;
  static nlohmann::json Save(const Archive& archive) {
    nlohmann::json saved = nlohmann::json::array();
    for (const auto& [assignment, known] : archive) {
      nlohmann::json values = nlohmann::json::array();
      for (const auto& [sample, sums] : known) {
        values.push_back({sample, Bits(sums.kl), Bits(sums.topk_kl),
                          Bits(sums.nll), sums.positions});
      }
      saved.push_back({{"levels", assignment.levels}, {"values", values}});
    }
    return saved;
  }

  absl::Status Load(const nlohmann::json& saved, Archive& archive) const {
    archive.clear();
    for (const nlohmann::json& entry : saved) {
      Assignment assignment{entry.at("levels").get<std::vector<uint16_t>>()};
      if (!Validate(space(), assignment).ok()) {
        return absl::DataLossError(
            "snapshot holds a known assignment outside the space");
      }
      std::map<int32_t, SampleSums>& known = archive[std::move(assignment)];
      for (const nlohmann::json& value : entry.at("values")) {
        known[value.at(0).get<int32_t>()] = {
            FromBits(value.at(1).get<uint64_t>()),
            FromBits(value.at(2).get<uint64_t>()),
            FromBits(value.at(3).get<uint64_t>()), value.at(4).get<int64_t>()};
      }
    }
    return absl::OkStatus();
  }

  const StrategyOptions options_;
  const std::vector<size_t> order_;

  size_t at_ = 0;                                   // of order_
  std::vector<std::optional<Incumbent>> best_;      // of each target
  std::vector<std::optional<Standing>> standings_;  // of best_
  Archive archive_;
  Archive started_;    // archive_ when search_ was made
  int64_t bound_ = 0;  // max_samples of search_, if it is guided
  int64_t total_ = 0;  // of all searches, known when the first has ended
  std::unique_ptr<Strategy> search_;
  Round asked_;  // by search_, pending
};

}  // namespace

absl::Status CheckTargets(const StrategyInput& input,
                          const StrategyOptions& options) {
  const std::vector<Target>& targets = input.targets;
  if (targets.size() < 2 || targets.size() > kMaxTargets) {
    return absl::InvalidArgumentError(absl::StrCat(
        targets.size(), " targets given; 2 to ", kMaxTargets, " are possible"));
  }
  if (std::holds_alternative<FixedOptions>(options)) {
    return absl::InvalidArgumentError(
        "given assignments are measured under no budget; leave out the "
        "targets");
  }
  std::set<std::string> names;
  std::set<int64_t> limits;
  for (const Target& target : targets) {
    if (!names.insert(target.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("two targets are called \"", target.name, "\""));
    }
    if (!limits.insert(target.limit).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("target \"", target.name, "\" has the limit ",
                       target.limit, " of another target"));
    }
  }
  if (*limits.rbegin() != input.space.budgets[0].limit) {
    return absl::InvalidArgumentError(
        absl::StrCat("the greatest target, ", *limits.rbegin(),
                     ", is not the limit of the first budget, ",
                     input.space.budgets[0].limit));
  }
  for (size_t t = 0; t < targets.size(); ++t) {
    const StrategyInput under = InputFor(input, t, input.archive);
    StrategyOptions one = OptionsFor(input, under.space, options);
    if (auto* guided = std::get_if<GuidedOptions>(&one)) {
      guided->max_samples = 0;
    }
    absl::Status status = CheckBudgetsReachable(under.space);
    if (status.ok()) status = MakeStrategy(under, one).status();
    if (!status.ok()) {
      return absl::Status(
          status.code(),
          absl::StrCat("target ", targets[t].name, ": ", status.message()));
    }
  }
  const auto* guided = std::get_if<GuidedOptions>(&options);
  if (guided == nullptr || guided->max_samples == 0) return absl::OkStatus();
  int64_t least = ScanSamples(input, *guided);
  for (size_t t = 0; t < targets.size(); ++t) {
    least += LaterLeastSamples(InputFor(input, t, input.archive), *guided);
  }
  if (guided->max_samples < least) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_samples=", guided->max_samples, " is less than the ",
                     least, " that anchors, probes and decisions of ",
                     targets.size(), " targets need"));
  }
  return absl::OkStatus();
}

int64_t PlannedParetoSamples(const StrategyInput& input,
                             const StrategyOptions& options) {
  const std::vector<size_t> order = OrderOf(input.targets);
  StrategyOptions each = options;
  auto* const guided = std::get_if<GuidedOptions>(&each);
  const int64_t bound =
      guided != nullptr ? std::exchange(guided->max_samples, 0) : 0;
  const int64_t first =
      PlannedSamples(InputFor(input, order[0], input.archive), each);
  int64_t planned = first;
  for (size_t i = 1; i < order.size(); ++i) {
    const StrategyInput one = InputFor(input, order[i], input.archive);
    planned = Sum(planned,
                  guided != nullptr
                      ? std::max(Later(first), LaterLeastSamples(one, *guided))
                      : PlannedSamples(one, each));
  }
  if (bound == 0) return planned;
  const auto searches = static_cast<int64_t>(order.size());
  return std::min(planned, Sum(bound, searches * SamplesOfScales(input)));
}

std::unique_ptr<Strategy> NewPareto(StrategyInput input,
                                    const StrategyOptions& options,
                                    StrategyIdentity identity) {
  return std::make_unique<Pareto>(std::move(input), options,
                                  std::move(identity));
}

}  // namespace evopress::search
