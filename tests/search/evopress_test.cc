#include "search/evopress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "search/knapsack.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

EvoPressOptions Small(int generations) {
  EvoPressOptions options;
  options.generations = generations;
  options.offspring = 16;
  options.stages = {{4, 1}, {2, 2}, {1, 4}};
  return options;
}

// Alg. 1 needs O(k (n-k) / lambda) generations on a linear fitness with high
// probability, k of n units being raised; here k (n-k) / lambda = 36. Measured
// once over 40 seeds: 2.1 times that in the median, 7.4 times at worst.
TEST(EvoPress, ReachesTheOptimumOfALinearFitnessInThePredictedGenerations) {
  constexpr int kPredicted = 24 * 24 / 16;
  std::vector<int> generations;
  for (uint64_t seed = 0; seed < 11; ++seed) {
    SCOPED_TRACE(seed);
    const Toy toy =
        MakeToy(std::vector<int64_t>(48, 64), {2, 3}, 48 * 64 * 5 / 2, seed);
    const auto optimum = SolveKnapsack(toy.input.space, toy.input.layer_errors);
    ASSERT_TRUE(optimum.ok());
    auto strategy = MakeStrategy(toy.input, Small(8 * kPredicted));
    ASSERT_TRUE(strategy.ok());
    auto step = (*strategy)->Start();
    int reached = 0;
    for (int rounds = 1; std::holds_alternative<Round>(*step); ++rounds) {
      step = (*strategy)->Tell(
          MeasureRound(std::get<Round>(*step), ExactMeasure(toy)));
      ASSERT_TRUE(step.ok()) << step.status();
      if (reached == 0 && (*strategy)->incumbent()->assignment == *optimum) {
        reached = rounds / 3 + 1;
      }
    }
    EXPECT_EQ(std::get<Done>(*step).winner, *optimum);
    EXPECT_NEAR(std::get<Done>(*step).fitness, Damage(toy, *optimum), 1e-9);
    generations.push_back(reached);
  }
  std::sort(generations.begin(), generations.end());
  EXPECT_LE(generations[generations.size() / 2], 3 * kPredicted);
}

TEST(EvoPress, StartsAtTheUniformLevelThatTheBudgetNames) {
  const Toy toy = MakeToy({64, 64, 32, 32}, {2, 3, 4}, 192 * 3, 1);
  auto strategy = MakeStrategy(toy.input, Small(1));
  ASSERT_TRUE(strategy.ok());
  ASSERT_TRUE((*strategy)->Start().ok());
  ASSERT_TRUE((*strategy)->incumbent().has_value());
  EXPECT_EQ((*strategy)->incumbent()->assignment, (Assignment{{1, 1, 1, 1}}));
  EXPECT_FALSE((*strategy)->incumbent()->fitness.has_value());
}

TEST(EvoPress, StartsFromRoundedCandidatesWhenTheTargetIsFractional) {
  const int64_t limit = (6 * 64 + 6 * 32) * 5 / 2;
  const Toy toy = MakeToy({64, 64, 64, 64, 64, 64, 32, 32, 32, 32, 32, 32},
                          {2, 3, 4}, limit, 1);
  auto strategy = MakeStrategy(toy.input, Small(1));
  ASSERT_TRUE(strategy.ok());
  const auto step = (*strategy)->Start();
  ASSERT_TRUE(step.ok());
  const Round& round = std::get<Round>(*step);
  EXPECT_EQ(round.evaluations.size(), 16u);
  for (const Evaluation& start : round.evaluations) {
    EXPECT_EQ(Cost(toy.input.space, start.assignment, 0), limit + 1000);
    EXPECT_EQ(start.samples.size(), 8u);
    int raised[2] = {0, 0};
    for (size_t u = 0; u < 12; ++u) {
      ASSERT_LE(start.assignment.levels[u], 1);
      raised[u / 6] += start.assignment.levels[u];
    }
    // Each group sits on the target, as later switches cannot move it there.
    EXPECT_EQ(raised[0], 3);
    EXPECT_EQ(raised[1], 3);
  }
}

TEST(EvoPress, StagesShareFreshSamplesAndOnlyTheLastSeesTheParent) {
  const Toy toy =
      MakeToy(std::vector<int64_t>(12, 64), {2, 3, 4}, 12 * 64 * 3, 4);
  auto strategy = MakeStrategy(toy.input, Small(3));
  ASSERT_TRUE(strategy.ok());
  auto step = (*strategy)->Start();
  std::vector<std::vector<int32_t>> last_samples;
  const size_t sizes[] = {16, 4, 3};
  for (int r = 0; r < 9; ++r) {
    ASSERT_TRUE(step.ok()) << step.status();
    const Round round = std::get<Round>(*step);
    EXPECT_EQ(round.index, r);
    EXPECT_EQ(round.evaluations.size(), sizes[r % 3]);
    const Assignment parent = (*strategy)->incumbent()->assignment;
    for (size_t i = 0; i < round.evaluations.size(); ++i) {
      EXPECT_EQ(round.evaluations[i].samples, round.evaluations[0].samples);
      EXPECT_EQ(round.evaluations[i].assignment == parent,
                r % 3 == 2 && i + 1 == round.evaluations.size());
    }
    EXPECT_GE(round.progress, 0);
    EXPECT_LT(round.progress, 1);
    if (r % 3 == 2) last_samples.push_back(round.evaluations[0].samples);
    step = (*strategy)->Tell(MeasureRound(round, NoisyMeasure(toy)));
  }
  EXPECT_TRUE(std::holds_alternative<Done>(*step));
  EXPECT_NE(last_samples[0], last_samples[1]);
  EXPECT_NE(last_samples[1], last_samples[2]);
}

TEST(EvoPress, IsElitist) {
  const Toy toy =
      MakeToy(std::vector<int64_t>(12, 64), {2, 3, 4}, 12 * 64 * 3, 4);
  auto strategy = MakeStrategy(toy.input, Small(40));
  ASSERT_TRUE(strategy.ok());
  auto step = (*strategy)->Start();
  double best = Damage(toy, (*strategy)->incumbent()->assignment);
  while (step.ok() && std::holds_alternative<Round>(*step)) {
    step = (*strategy)->Tell(
        MeasureRound(std::get<Round>(*step), ExactMeasure(toy)));
    const double now = Damage(toy, (*strategy)->incumbent()->assignment);
    EXPECT_LE(now, best);
    best = now;
  }
  ASSERT_TRUE(step.ok());
}

TEST(EvoPress, KeepsTheParentWhenNothingCanBeMeasured) {
  const Toy toy =
      MakeToy(std::vector<int64_t>(6, 64), {2, 3, 4}, 6 * 64 * 3, 4);
  const Measure nan = [](const Assignment&, int32_t) {
    return SampleSums{std::numeric_limits<double>::quiet_NaN(), 0, 0, 10};
  };
  const auto found = Search(toy.input, Small(5), nan);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->done.winner, (Assignment{{1, 1, 1, 1, 1, 1}}));
  EXPECT_EQ(found->done.fitness, std::numeric_limits<double>::infinity());
}

TEST(EvoPress, NeverChoosesACandidateWhoseFitnessIsNotFinite) {
  const Toy toy =
      MakeToy(std::vector<int64_t>(8, 64), {2, 3, 4}, 8 * 64 * 3, 4);
  const auto poisoned = [](const Assignment& a) { return a.levels[0] == 2; };
  const Measure measure = [&](const Assignment& a, int32_t sample) {
    SampleSums sums = NoisyMeasure(toy)(a, sample);
    if (poisoned(a)) sums.kl = -std::numeric_limits<double>::infinity();
    return sums;
  };
  const auto found = Search(toy.input, Small(30), measure);
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(poisoned(found->done.winner));
}

TEST(EvoPress, MeasuresTheStartOnceWhereNothingCanBeSwitched) {
  const Toy lone = MakeToy({64}, {2, 3, 4}, 64 * 3, 1);
  const auto one_unit = Search(lone.input, Small(50), ExactMeasure(lone));
  ASSERT_TRUE(one_unit.ok()) << one_unit.status();
  EXPECT_EQ(one_unit->done.winner, (Assignment{{1}}));
  EXPECT_EQ(one_unit->rounds, 1);
  EXPECT_NEAR(one_unit->done.fitness, Damage(lone, one_unit->done.winner),
              1e-12);

  const Toy flat = MakeToy({64, 64, 32}, {3}, 160 * 3, 1);
  const auto one_level = Search(flat.input, Small(50), ExactMeasure(flat));
  ASSERT_TRUE(one_level.ok()) << one_level.status();
  EXPECT_EQ(one_level->done.winner, (Assignment{{0, 0, 0}}));
  EXPECT_EQ(one_level->rounds, 1);

  const Toy rich = MakeToy({64, 64, 32}, {2, 3}, 1 << 20, 1);
  const auto all_dearest = Search(rich.input, Small(50), ExactMeasure(rich));
  ASSERT_TRUE(all_dearest.ok()) << all_dearest.status();
  EXPECT_EQ(all_dearest->done.winner, (Assignment{{1, 1, 1}}));
}

// As fuzzing has shown, such a round is drawn for minutes.
TEST(EvoPress, RefusesRoundsThatTakeMinutesToDraw) {
  const Toy toy = MakeToy({64, 64}, {2, 3}, 64 * 5, 1);
  EvoPressOptions options = Small(1);
  options.initial_candidates = kMaxCandidates + 1;
  EXPECT_FALSE(MakeStrategy(toy.input, options).ok());
  options = Small(1);
  options.max_switches = 65536;
  EXPECT_THAT(std::string(MakeStrategy(toy.input, options).status().message()),
              ::testing::HasSubstr("the limit is 16384"));
  options.max_switches = static_cast<int32_t>(kMaxSwitches / options.offspring);
  EXPECT_TRUE(MakeStrategy(toy.input, options).ok());
}

// All switches break the second budget: no generation has offspring.
TEST(EvoPress, EndsSoonWhereNoGenerationHasOffspring) {
  Toy toy = MakeToy({64, 64, 64}, {2, 3}, 64 * 7, 1);
  SearchSpace& space = toy.input.space;
  space.cost_kinds.push_back({"own"});
  space.constant_costs.push_back(0);
  for (size_t u = 0; u < space.units.size(); ++u) {
    for (size_t l = 0; l < space.units[u].menu.size(); ++l) {
      space.units[u].menu[l].costs.push_back(u == 0 || l == 0 ? 0 : 1);
    }
  }
  space.budgets.push_back({1, 0});
  EvoPressOptions options = Small(std::numeric_limits<int32_t>::max());
  const auto found = Search(toy.input, options, ExactMeasure(toy));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->done.winner, (Assignment{{1, 0, 0}}));
}

TEST(EvoPress, RefusesOptionsThatContradictEachOther) {
  const Toy toy = MakeToy({64, 64}, {2, 3}, 64 * 5, 1);
  EvoPressOptions options = Small(1);
  options.offspring = 8;
  options.stages = {{8, 1}, {2, 1}, {9, 1}};
  EXPECT_EQ(MakeStrategy(toy.input, options).status().message(),
            "survivors[2]=9 exceeds offspring=8; lower it or raise offspring");
  options.stages = {{2, 1}, {4, 1}, {1, 1}};
  EXPECT_FALSE(MakeStrategy(toy.input, options).ok());
  options.stages = {{2, 17}, {1, 1}};
  EXPECT_FALSE(MakeStrategy(toy.input, options).ok());
  options.stages = {{2, 1}};
  EXPECT_FALSE(MakeStrategy(toy.input, options).ok());
  options.stages = {};
  EXPECT_FALSE(MakeStrategy(toy.input, options).ok());
  options.stages = {{1, 1}};
  EXPECT_TRUE(MakeStrategy(toy.input, options).ok());
  options.generations = 0;
  EXPECT_FALSE(MakeStrategy(toy.input, options).ok());
}

TEST(EvoPress, MeasuresNoMoreThanPlanned) {
  for (int64_t limit : {12 * 64 * 3, 12 * 64 * 3 - 100}) {
    const Toy toy = MakeToy(std::vector<int64_t>(12, 64), {2, 3, 4}, limit, 4);
    const auto found = Search(toy.input, Small(10), NoisyMeasure(toy));
    ASSERT_TRUE(found.ok());
    EXPECT_LE(found->measurements * 100, PlannedTokens(toy.input, Small(10)));
    EXPECT_GE(found->measurements * 120, PlannedTokens(toy.input, Small(10)));
  }
}

}  // namespace
}  // namespace evopress::search
