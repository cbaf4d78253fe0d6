#include "search/brute_force.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>

#include "search/knapsack.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

using ::testing::HasSubstr;

constexpr BruteForceOptions kOptions{2, Metric::kKl};

double LeastWithinBudgets(const Toy& toy) {
  double least = std::numeric_limits<double>::infinity();
  ForEachAssignment(toy.input.space, [&](const Assignment& assignment) {
    if (!WithinBudgets(toy.input.space, assignment)) return;
    least = std::min(least, Damage(toy, assignment));
  });
  return least;
}

TEST(BruteForce, FindsTheBestOfAllExactly) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const Toy toy =
        Ungrouped(MakeToy({7, 5, 11, 3, 2, 13}, {2, 3, 4}, 41 * 3 - 2, seed));
    const auto found = Search(toy.input, kOptions, ExactMeasure(toy));
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(Damage(toy, found->done.winner), LeastWithinBudgets(toy));
    EXPECT_NEAR(found->done.fitness, LeastWithinBudgets(toy), 1e-12);
  }
}

TEST(BruteForce, IsNeverWorseThanTheKnapsackUnderTheSameGroupRule) {
  for (int64_t limit : {224 * 5 / 2, 224 * 5 / 2 + 16, 224 * 3, 224 * 4}) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
      SCOPED_TRACE(seed);
      const Toy toy = MakeToy({64, 64, 32, 32, 16, 16}, {2, 3, 4}, limit, seed);
      const auto dp = SolveKnapsack(toy.input.space, toy.input.layer_errors);
      ASSERT_TRUE(dp.ok()) << dp.status();
      const auto found = Search(toy.input, kOptions, ExactMeasure(toy));
      ASSERT_TRUE(found.ok()) << found.status();
      EXPECT_LE(Damage(toy, found->done.winner), Damage(toy, *dp) + 1e-12);
      EXPECT_GE(Damage(toy, found->done.winner),
                LeastWithinBudgets(toy) - 1e-12);
    }
  }
}

TEST(BruteForce, SpendsWhatRoundingTheSharesLeaves) {
  // Half a step of each group is left over: together they raise one unit.
  const Toy toy = MakeToy({64, 32, 32}, {2, 3}, 128 * 5 / 2, 1);
  const auto found = Search(toy.input, kOptions, ExactMeasure(toy));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(Cost(toy.input.space, found->done.winner, 0),
            toy.input.space.budgets[0].limit);
}

TEST(BruteForce, MeasuresAllAllowedOnceOnTheSameSamplesInBoundedRounds) {
  const Toy toy =
      Ungrouped(MakeToy({7, 5, 11, 3, 2, 13, 4}, {2, 3, 4}, 45 * 3, 1));
  std::map<Assignment, int> measured;
  std::vector<int32_t> samples;
  int64_t rounds = 0;
  const auto found =
      Search(toy.input, kOptions, NoisyMeasure(toy), [&](const Round& round) {
        ++rounds;
        EXPECT_LE(round.evaluations.size(), kRoundAssignments);
        for (const Evaluation& evaluation : round.evaluations) {
          ++measured[evaluation.assignment];
          if (samples.empty()) samples = evaluation.samples;
          EXPECT_EQ(evaluation.samples, samples);
        }
      });
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_GT(rounds, 1);
  ForEachAssignment(toy.input.space, [&](const Assignment& assignment) {
    EXPECT_EQ(measured[assignment],
              WithinBudgets(toy.input.space, assignment) ? 1 : 0);
  });
  EXPECT_EQ(found->measurements * toy.input.sample_tokens,
            PlannedTokens(toy.input, kOptions));
}

TEST(BruteForce, TiesGoToTheFirst) {
  const Toy toy =
      MakeToy({64, 64, 64, 64, 64, 64, 64}, {2, 3, 4}, 7 * 64 * 3, 1);
  const auto found =
      Search(toy.input, kOptions, [](const Assignment&, int32_t) {
        return SampleSums{1, 0, 0, 1};
      });
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->done.winner, (Assignment{{0, 0, 0, 0, 0, 0, 0}}));
}

TEST(BruteForce, SaysHowManyAreTooMany) {
  const auto refusal = [](size_t units, int levels) {
    const std::vector<int> bits = {2, 3, 4, 5, 6};
    const Toy toy = MakeToy(std::vector<int64_t>(units, 64),
                            {bits.begin(), bits.begin() + levels},
                            static_cast<int64_t>(units) * 64 * 3, 1);
    EXPECT_EQ(PlannedTokens(toy.input, kOptions),
              std::numeric_limits<int64_t>::max());
    return std::string(MakeStrategy(toy.input, kOptions).status().message());
  };
  EXPECT_THAT(refusal(13, 3), HasSubstr("1594323 assignments"));
  EXPECT_THAT(refusal(13, 3), HasSubstr("1048576 at most"));
  EXPECT_THAT(refusal(210, 5), HasSubstr("more than 9223372036854775807"));
}

TEST(BruteForce, MeasuresEveryPhenotypeOnceWhereThereAreModules) {
  Toy toy = MakeModularToy(1, {2, 3, 4}, 200, 3);
  toy.input.space.budgets.push_back({1, 1});
  const SearchSpace& space = toy.input.space;
  std::map<Assignment, int> measured;
  const auto found =
      Search(toy.input, kOptions, ExactMeasure(toy), [&](const Round& round) {
        for (const Evaluation& e : round.evaluations) {
          ++measured[e.assignment];
        }
      });
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(Damage(toy, found->done.winner), LeastWithinBudgets(toy));
  std::map<Assignment, int> phenotypes;
  ForEachAssignment(space, [&](const Assignment& assignment) {
    if (WithinBudgets(space, assignment)) {
      phenotypes[Canonical(space, assignment)] = 1;
    }
  });
  EXPECT_GT(phenotypes.size(), 10u);
  EXPECT_EQ(measured, phenotypes);
}

TEST(BruteForce, RefusesMoreSamplesThanThereAre) {
  const Toy toy = MakeToy({64, 64}, {2, 3}, 64 * 5, 1);
  EXPECT_FALSE(
      MakeStrategy(toy.input, BruteForceOptions{17, Metric::kKl}).ok());
  EXPECT_FALSE(MakeStrategy(toy.input, BruteForceOptions{0, Metric::kKl}).ok());
  EXPECT_TRUE(MakeStrategy(toy.input, BruteForceOptions{16, Metric::kKl}).ok());
}

}  // namespace
}  // namespace evopress::search
