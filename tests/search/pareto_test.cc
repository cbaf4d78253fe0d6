// What one search with several budgets promises.
#include "search/pareto.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "search/knapsack.h"
#include "search/uniform.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

constexpr int kUnits = 42;
constexpr int kTargets = 6;

// Damage adds up over units whose sensitivity no layer error tells, with pairs
// that hurt more together; samples disagree.
struct Front {
  Toy toy;
  std::vector<double> sensitivity;

  double Damage(const Assignment& assignment) const {
    return Sum(assignment, -1);
  }

  double Sum(const Assignment& assignment, int32_t sample) const {
    const std::vector<uint16_t>& levels = assignment.levels;
    double total = 0;
    for (size_t u = 0; u < levels.size(); ++u) {
      double weight = sensitivity[u];
      if (sample >= 0) {
        weight *=
            0.7 + 0.6 * Rng(u, 9, static_cast<uint32_t>(sample)).Uniform();
      }
      total += weight * toy.input.layer_errors[u][levels[u]];
      if (u % 2 == 1 && levels[u] == 0 && levels[u - 1] == 0) total += 0.03;
    }
    return total;
  }

  Measure Samples() const {
    return [this](const Assignment& assignment, int32_t sample) {
      return SampleSums{100 * Sum(assignment, sample), 0, 0, 100};
    };
  }
};

// 2.25, 2.5, 2.75, 3, 3.5 and 4 bits of levels from 2 to 6.
Front MakeFront(uint64_t seed) {
  Front front;
  front.toy = MakeToy(std::vector<int64_t>(kUnits, 64), {2, 3, 4, 5, 6},
                      kUnits * 64 * 4, seed);
  StrategyInput& input = front.toy.input;
  input.num_samples = 64;
  const int quarters[kTargets] = {9, 10, 11, 12, 14, 16};
  for (int quarter : quarters) {
    input.targets.push_back({absl::StrCat(quarter / 4.0),
                             1000 + int64_t{kUnits} * 64 * quarter / 4});
  }
  Rng rng(seed, 123);
  for (int u = 0; u < kUnits; ++u) {
    const char* const kinds[] = {"q_proj", "k_proj", "up_proj"};
    input.space.units[u].name = absl::StrCat("blocks.", u, ".", kinds[u % 3]);
    input.space.units[u].layers = {input.space.units[u].name};
    front.sensitivity.push_back(rng.Uniform() < 0.5 ? 0.2 : 3);
  }
  return front;
}

StrategyInput Single(const Front& front, size_t target) {
  StrategyInput input = front.toy.input;
  input.space.budgets[0].limit = input.targets[target].limit;
  input.targets.clear();
  return input;
}

struct Outcome {
  std::vector<Incumbent> winners;
  int64_t measurements = 0;
  std::string history;
  Archive archive;
};

Outcome SearchOf(const StrategyInput& input, const StrategyOptions& options,
                 const Measure& measure, const RoundObserver& observer = {}) {
  auto strategy = MakeStrategy(input, options);
  EXPECT_TRUE(strategy.ok()) << strategy.status();
  if (!strategy.ok()) return {};
  auto step = (*strategy)->Start();
  EXPECT_TRUE(step.ok()) << step.status();
  if (!step.ok()) return {};
  Outcome outcome;
  const auto end =
      RunToEnd(**strategy, *step, History("test"), measure, 1000,
               [&](const Round& round) {
                 AddTo(outcome.archive, round, MeasureRound(round, measure));
                 if (observer) observer(round);
               });
  EXPECT_TRUE(end.ok()) << end.status();
  if (!end.ok()) return {};
  outcome.winners = (*strategy)->incumbents();
  outcome.measurements = end->measurements;
  outcome.history = end->history_hash;
  return outcome;
}

TEST(Pareto, SixBudgetsTakeAtMostTwoAndAHalfTimesTheTokensOfOne) {
  for (uint64_t seed = 0; seed < 3; ++seed) {
    SCOPED_TRACE(seed);
    const Front front = MakeFront(seed);
    const Outcome six =
        SearchOf(front.toy.input, GuidedOptions{}, front.Samples());
    const Outcome one =
        SearchOf(Single(front, 3), GuidedOptions{}, front.Samples());
    EXPECT_LE(six.measurements, 5 * one.measurements / 2);
    EXPECT_LE(six.measurements,
              PlannedSamples(front.toy.input, GuidedOptions{}));
  }
}

TEST(Pareto, EveryWinnerMeetsItsBudgetAndIsNoWorseThanThePlainSolutions) {
  for (uint64_t seed = 0; seed < 3; ++seed) {
    SCOPED_TRACE(seed);
    const Front front = MakeFront(seed);
    const Outcome six =
        SearchOf(front.toy.input, GuidedOptions{}, front.Samples());
    ASSERT_EQ(six.winners.size(), size_t{kTargets});
    for (size_t t = 0; t < kTargets; ++t) {
      SCOPED_TRACE(front.toy.input.targets[t].name);
      const StrategyInput single = Single(front, t);
      const Assignment& winner = six.winners[t].assignment;
      EXPECT_TRUE(WithinBudgets(single.space, winner));
      // On the samples of the decision, which all candidates of it share.
      std::set<int32_t> decided;
      const auto dp = SolveKnapsack(single.space, single.layer_errors);
      const auto uniform = DearestUniform(single.space);
      ASSERT_TRUE(dp.ok() && uniform.ok());
      for (const Assignment& anchor : {*dp, uniform->assignment}) {
        const auto& of_anchor = six.archive.at(anchor);
        const auto& of_winner = six.archive.at(winner);
        double difference = 0;
        int shared = 0;
        for (const auto& [sample, sums] : of_winner) {
          if (of_anchor.count(sample) == 0) continue;
          difference += sums.kl - of_anchor.at(sample).kl;
          ++shared;
        }
        EXPECT_GE(shared, GuidedOptions{}.decision_samples);
        EXPECT_LE(difference, 0);
      }
    }
  }
}

TEST(Pareto, WinnersAreAboutAsGoodAsThoseOfSingleSearches) {
  double shared = 0, single = 0, uniform = 0;
  for (uint64_t seed = 0; seed < 2; ++seed) {
    const Front front = MakeFront(seed);
    const Outcome six =
        SearchOf(front.toy.input, GuidedOptions{}, front.Samples());
    for (size_t t = 0; t < kTargets; ++t) {
      const StrategyInput input = Single(front, t);
      const double base = front.Damage(DearestUniform(input.space)->assignment);
      shared += front.Damage(six.winners[t].assignment) / base;
      single += front.Damage(SearchOf(input, GuidedOptions{}, front.Samples())
                                 .winners[0]
                                 .assignment) /
                base;
      uniform += 1;
    }
  }
  EXPECT_LT(shared, 1.1 * single);
  EXPECT_LT(shared, 0.9 * uniform);
}

// What drops do is known to no one beforehand.
TEST(Pareto, DropsModulesUnderManyBudgets) {
  int right = 0;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    SCOPED_TRACE(seed);
    constexpr int64_t kLimit = 4 * 72 * 2;
    Toy toy = MakeModularToy(4, {2, 3, 4}, kLimit + 128, seed);
    StrategyInput blind = toy.input;
    blind.num_samples = 32;
    const int64_t limit = blind.space.budgets[0].limit;
    blind.targets = {{"2", limit - 128}, {"2.2", limit - 64}, {"2.4", limit}};
    for (size_t u = 0; u < blind.layer_errors.size(); ++u) {
      if (blind.space.units[u].menu[0].name == kDrop) {
        blind.layer_errors[u] = {2, 0};
      }
    }
    std::set<std::pair<Assignment, int32_t>> asked;
    const Outcome three = SearchOf(
        blind, GuidedOptions{}, ExactMeasure(toy), [&](const Round& round) {
          for (const Evaluation& evaluation : round.evaluations) {
            for (int32_t sample : evaluation.samples) {
              EXPECT_TRUE(asked.emplace(evaluation.assignment, sample).second);
            }
          }
        });
    EXPECT_LE(three.measurements, PlannedSamples(blind, GuidedOptions{}));
    ASSERT_EQ(three.winners.size(), 3u);
    for (size_t t = 0; t < 3; ++t) {
      SearchSpace space = blind.space;
      space.budgets[0].limit = blind.targets[t].limit;
      const Assignment& winner = three.winners[t].assignment;
      EXPECT_TRUE(WithinBudgets(space, winner));
      const auto optimum = SolveKnapsack(space, toy.input.layer_errors);
      ASSERT_TRUE(optimum.ok());
      right += Damage(toy, winner) <= 1.02 * Damage(toy, *optimum);
    }
  }
  EXPECT_GE(right, 12);  // of 15
}

// Scales of domains are each budget's own; the measurements are all of ours.
TEST(Pareto, ComparesDomainsUnderManyBudgets) {
  Front front = MakeFront(5);
  StrategyInput& input = front.toy.input;
  input.targets.erase(input.targets.begin(), input.targets.begin() + 3);
  input.domains = {{"c4", 40, 0.6}, {"code", 24, 0.4}};
  input.domain_fitness = DomainFitness::kWorst;
  // Code is another world: ten times the loss, and other units matter.
  const Measure measure = [&](const Assignment& assignment, int32_t sample) {
    double sum = front.Sum(assignment, sample);
    if (sample >= 40) {
      sum = 0;
      for (size_t u = 0; u < assignment.levels.size(); ++u) {
        sum += 10 * front.sensitivity[kUnits - 1 - u] *
               input.layer_errors[u][assignment.levels[u]];
      }
    }
    return SampleSums{100 * sum, 0, 0, 100};
  };
  GuidedOptions options;
  options.races = 2;
  options.samples = {2, 4, 8};
  const Outcome all = SearchOf(input, options, measure);
  EXPECT_LE(all.measurements, PlannedSamples(input, options));
  ASSERT_EQ(all.winners.size(), 3u);
  // The first search is what it would be alone, scales and all.
  const StrategyInput single = Single(front, 1);
  EXPECT_EQ(all.winners[1], SearchOf(single, options, measure).winners[0]);
  auto strategy = *MakeStrategy(input, options);
  absl::StatusOr<Step> step = strategy->Start();
  while (step.ok() && std::holds_alternative<Round>(*step)) {
    auto restored = *MakeStrategy(input, options);
    ASSERT_TRUE(restored->Restore(strategy->Snapshot()).ok());
    strategy = std::move(restored);
    step = strategy->Tell(MeasureRound(std::get<Round>(*step), measure));
  }
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_EQ(strategy->incumbents(), all.winners);
  // As measured, not in units of a scale, and kept over restarts.
  for (const Incumbent& winner : all.winners) {
    const auto standing = strategy->standing(winner.assignment);
    ASSERT_TRUE(standing.has_value());
    ASSERT_EQ(standing->domains.size(), 2u);
    EXPECT_NEAR(standing->domains[1], measure(winner.assignment, 40).kl / 100,
                1e-9);
  }
}

TEST(Pareto, GivenAnchorsStandWhereTheyFitUnderTheirOwnNames) {
  Front front = MakeFront(6);
  StrategyInput& input = front.toy.input;
  input.targets.erase(input.targets.begin() + 2, input.targets.end());
  input.space.budgets[0].limit = input.targets[1].limit;
  std::vector<std::vector<double>> truth = input.layer_errors;
  for (size_t u = 0; u < truth.size(); ++u) {
    for (double& error : truth[u]) error *= front.sensitivity[u];
  }
  GuidedOptions options;
  options.races = 1;
  for (const size_t t : {size_t{1}, size_t{0}}) {
    auto best = SolveKnapsack(Single(front, t).space, truth);
    ASSERT_TRUE(best.ok());
    options.anchors.push_back(*best);
  }
  const Measure exact = [&](const Assignment& assignment, int32_t) {
    double total = 0;
    for (size_t u = 0; u < truth.size(); ++u) {
      total += truth[u][assignment.levels[u]];
    }
    return SampleSums{100 * total, 0, 0, 100};
  };
  const Outcome two = SearchOf(input, options, exact);
  ASSERT_EQ(two.winners.size(), 2u);
  EXPECT_EQ(two.winners[0].assignment, options.anchors[1]);
  EXPECT_EQ(two.winners[0].anchor, "anchor 2");
  EXPECT_EQ(two.winners[1].assignment, options.anchors[0]);
  EXPECT_EQ(two.winners[1].anchor, "anchor 1");
  options.anchors[0] = Dearest(input.space);
  const absl::Status dear = MakeStrategy(input, options).status();
  EXPECT_TRUE(absl::IsInvalidArgument(dear));
  EXPECT_NE(dear.message().find("anchors[0] costs"), std::string::npos) << dear;
}

TEST(Pareto, AsksNothingTwice) {
  const Front front = MakeFront(3);
  std::set<std::pair<Assignment, int32_t>> asked;
  SearchOf(
      front.toy.input, GuidedOptions{}, front.Samples(),
      [&](const Round& round) {
        for (const Evaluation& evaluation : round.evaluations) {
          for (int32_t sample : evaluation.samples) {
            EXPECT_TRUE(asked.emplace(evaluation.assignment, sample).second);
          }
        }
      });
}

TEST(Pareto, AnySingleStrategyRunsUnderManyBudgets) {
  const Front front = MakeFront(1);
  EvoPressOptions evopress;
  evopress.generations = 3;
  for (const StrategyOptions& options :
       {StrategyOptions(UniformOptions{}), StrategyOptions(DpOptions{}),
        StrategyOptions(GreedyOptions{}), StrategyOptions(evopress)}) {
    SCOPED_TRACE(StrategyName(options));
    const Outcome six = SearchOf(front.toy.input, options, front.Samples());
    ASSERT_EQ(six.winners.size(), size_t{kTargets});
    for (size_t t = 0; t < kTargets; ++t) {
      const StrategyInput input = Single(front, t);
      EXPECT_TRUE(WithinBudgets(input.space, six.winners[t].assignment));
      EXPECT_EQ(
          six.winners[t].assignment,
          SearchOf(input, options, front.Samples()).winners[0].assignment);
    }
  }
}

TEST(Pareto, EndsAlikeWhenRestoredAtAnyRound) {
  const Front front = MakeFront(2);
  const Measure measure = front.Samples();
  GuidedOptions options;
  options.races = 3;
  options.candidates = 4;
  StrategyInput input = front.toy.input;
  input.targets.erase(input.targets.begin() + 1, input.targets.begin() + 4);
  const Outcome whole = SearchOf(input, options, measure);
  auto strategy = *MakeStrategy(input, options);
  absl::StatusOr<Step> step = strategy->Start();
  History history("test");
  while (step.ok() && std::holds_alternative<Round>(*step)) {
    auto restored = *MakeStrategy(input, options);
    const std::string snapshot = strategy->Snapshot();
    const absl::StatusOr<Step> pending = restored->Restore(snapshot);
    ASSERT_TRUE(pending.ok()) << pending.status();
    EXPECT_EQ(restored->Snapshot(), snapshot);
    EXPECT_EQ(restored->incumbents(), strategy->incumbents());
    const auto end = RunToEnd(*restored, *pending, history, measure);
    ASSERT_TRUE(end.ok()) << end.status();
    EXPECT_EQ(end->history_hash, whole.history);
    EXPECT_EQ(restored->incumbents(), whole.winners);
    const Round round = std::get<Round>(*step);
    const RoundResults results = MeasureRound(round, measure);
    history.Add(round, results);
    step = strategy->Tell(results);
  }
  EXPECT_EQ(strategy->incumbents(), whole.winners);
  auto ended = *MakeStrategy(input, options);
  EXPECT_TRUE(ended->Restore(strategy->Snapshot()).ok());
  EXPECT_EQ(ended->incumbents(), whole.winners);
}

TEST(Pareto, HasAWinnerForEveryBudgetFromTheFirstRoundOn) {
  const Front front = MakeFront(4);
  auto strategy = *MakeStrategy(front.toy.input, GuidedOptions{});
  auto step = strategy->Start();
  while (step.ok() && std::holds_alternative<Round>(*step)) {
    const std::vector<Incumbent> best = strategy->incumbents();
    ASSERT_EQ(best.size(), size_t{kTargets});
    for (size_t t = 0; t < kTargets; ++t) {
      EXPECT_TRUE(WithinBudgets(Single(front, t).space, best[t].assignment));
    }
    ASSERT_TRUE(strategy->incumbent().has_value());
    EXPECT_EQ(*strategy->incumbent(), best.back());  // of the greatest budget
    step =
        strategy->Tell(MeasureRound(std::get<Round>(*step), front.Samples()));
  }
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_EQ(std::get<Done>(*step).winner,
            strategy->incumbents().back().assignment);
}

TEST(Pareto, TokensOfAllBudgetsTogetherAreBounded) {
  const Front front = MakeFront(1);
  GuidedOptions options;
  for (int64_t bound : {450, 600, 900}) {
    options.max_samples = bound;
    const Outcome six = SearchOf(front.toy.input, options, front.Samples());
    EXPECT_LE(six.measurements, bound);
    EXPECT_LE(six.measurements, PlannedSamples(front.toy.input, options));
    EXPECT_EQ(six.winners.size(), size_t{kTargets});
  }
  options.max_samples = 100;
  const auto refused = MakeStrategy(front.toy.input, options);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
}

TEST(Pareto, RefusesTargetsThatMakeNoSense) {
  const StrategyInput good = MakeFront(1).toy.input;
  const auto refused = [&](auto change) {
    StrategyInput input = good;
    change(input);
    return MakeStrategy(input, GuidedOptions{}).status();
  };
  EXPECT_TRUE(
      absl::IsInvalidArgument(refused([](auto& i) { i.targets.resize(1); })));
  EXPECT_TRUE(absl::IsInvalidArgument(
      refused([](auto& i) { i.targets[1].name = i.targets[0].name; })));
  EXPECT_TRUE(absl::IsInvalidArgument(
      refused([](auto& i) { i.targets[1].limit = i.targets[0].limit; })));
  EXPECT_TRUE(
      absl::IsInvalidArgument(refused([](auto& i) { i.targets.pop_back(); })));
  EXPECT_TRUE(absl::IsFailedPrecondition(
      refused([](auto& i) { i.targets[0].limit = 1000; })));
  FixedOptions fixed;
  fixed.assignments = {Dearest(good.space)};
  EXPECT_TRUE(absl::IsInvalidArgument(MakeStrategy(good, fixed).status()));
}

TEST(Archive, ALaterSearchAsksForLessAndIsAsGood) {
  double later = 0, fresh = 0;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    SCOPED_TRACE(seed);
    const Front front = MakeFront(seed);
    const Outcome first =
        SearchOf(Single(front, 3), GuidedOptions{}, front.Samples());
    StrategyInput second = Single(front, 2);
    const Outcome alone = SearchOf(second, GuidedOptions{}, front.Samples());
    second.archive = first.archive;
    std::set<int32_t> used;
    const Outcome heir = SearchOf(
        second, GuidedOptions{}, front.Samples(), [&](const Round& round) {
          for (const auto& evaluation : round.evaluations) {
            const auto known = first.archive.find(evaluation.assignment);
            if (known == first.archive.end()) continue;
            for (int32_t s : evaluation.samples) {
              EXPECT_EQ(known->second.count(s), 0u);
            }
          }
        });
    // The scan of all units is not paid again.
    EXPECT_LE(heir.measurements, alone.measurements);
    later += front.Damage(heir.winners[0].assignment);
    fresh += front.Damage(alone.winners[0].assignment);
    EXPECT_EQ(heir.history,
              SearchOf(second, GuidedOptions{}, front.Samples()).history);
    EXPECT_NE(heir.history, alone.history);
  }
  EXPECT_LT(later, 1.05 * fresh);
}

TEST(Archive, ForeignMeasurementsAreRefused) {
  StrategyInput input = Single(MakeFront(1), 0);
  input.archive[Assignment{{9}}][0] = {};
  EXPECT_TRUE(
      absl::IsInvalidArgument(MakeStrategy(input, GuidedOptions{}).status()));
  input.archive.clear();
  input.archive[Dearest(input.space)][64] = {};
  EXPECT_TRUE(
      absl::IsInvalidArgument(MakeStrategy(input, GuidedOptions{}).status()));
}

}  // namespace
}  // namespace evopress::search
