#include "search/subnet_ga.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "search/knapsack.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

SubnetGaOptions Generations(int generations) {
  SubnetGaOptions options;
  options.generations = generations;
  options.population = 16;
  options.parents = 8;
  options.crossovers = 4;
  options.mutation_rate = 0.1;
  options.samples = 2;
  return options;
}

Toy Linear(uint64_t seed) {
  return MakeToy(std::vector<int64_t>(24, 64), {2, 3, 4}, 24 * 64 * 3, seed);
}

TEST(SubnetGa, ApproachesTheOptimumOfLinearDamage) {
  double gained = 0;
  constexpr int kSeeds = 10;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    const Toy toy = Linear(seed);
    const auto optimum = SolveKnapsack(toy.input.space, toy.input.layer_errors);
    ASSERT_TRUE(optimum.ok());
    const Assignment uniform{std::vector<uint16_t>(24, 1)};
    const auto found = Search(toy.input, Generations(150), ExactMeasure(toy));
    ASSERT_TRUE(found.ok()) << found.status();
    const double gain =
        (Damage(toy, uniform) - Damage(toy, found->done.winner)) /
        (Damage(toy, uniform) - Damage(toy, *optimum));
    EXPECT_GE(gain, 0.9);
    gained += gain / kSeeds;
  }
  EXPECT_GE(gained, 0.98);
}

TEST(SubnetGa, IsElitistAndMeasuresNoParentAgain) {
  const Toy toy = Linear(2);
  auto strategy = MakeStrategy(toy.input, Generations(30));
  ASSERT_TRUE(strategy.ok()) << strategy.status();
  auto step = (*strategy)->Start();
  double best = std::numeric_limits<double>::infinity();
  const Round first = std::get<Round>(*step);
  EXPECT_EQ(first.evaluations.size(), 16u);
  while (step.ok() && std::holds_alternative<Round>(*step)) {
    const Round round = std::get<Round>(*step);
    for (const Evaluation& evaluation : round.evaluations) {
      EXPECT_EQ(evaluation.samples, first.evaluations[0].samples);
      if (round.index > 0) {
        EXPECT_NE(evaluation.assignment, (*strategy)->incumbent()->assignment);
      }
    }
    step = (*strategy)->Tell(MeasureRound(round, NoisyMeasure(toy)));
    const double now = *(*strategy)->incumbent()->fitness;
    EXPECT_LE(now, best);
    best = now;
  }
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_EQ(std::get<Done>(*step).fitness, best);
}

TEST(SubnetGa, CrossoverAloneMixesTheFirstPopulation) {
  const Toy toy = Linear(3);
  SubnetGaOptions options = Generations(30);
  options.crossovers = options.population;
  const auto mixed = Search(toy.input, options, ExactMeasure(toy));
  options.generations = 1;
  const auto first = Search(toy.input, options, ExactMeasure(toy));
  ASSERT_TRUE(mixed.ok() && first.ok());
  EXPECT_LT(mixed->done.fitness, first->done.fitness);
}

TEST(SubnetGa, EndsWhereNothingNewCanBeBorn) {
  const Toy toy = MakeToy({64, 64}, {2, 3}, 64 * 5, 1);
  const auto found = Search(toy.input, Generations(50), ExactMeasure(toy));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_LE(found->rounds, 2);
  const auto optimum = SolveKnapsack(toy.input.space, toy.input.layer_errors);
  EXPECT_EQ(found->done.winner, *optimum);
}

TEST(SubnetGa, NeverChoosesACandidateWhoseFitnessIsNotFinite) {
  const Toy toy = Linear(4);
  const auto poisoned = [](const Assignment& a) { return a.levels[0] == 2; };
  const auto found = Search(
      toy.input, Generations(20), [&](const Assignment& a, int32_t sample) {
        SampleSums sums = NoisyMeasure(toy)(a, sample);
        if (poisoned(a)) sums.kl = -std::numeric_limits<double>::infinity();
        return sums;
      });
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_FALSE(poisoned(found->done.winner));
}

TEST(SubnetGa, NamesOptionsThatMakeNoSense) {
  const Toy toy = Linear(1);
  const auto error = [&](auto change) {
    SubnetGaOptions options = Generations(5);
    change(options);
    return std::string(MakeStrategy(toy.input, options).status().message());
  };
  EXPECT_EQ(error([](auto&) {}), "");
  EXPECT_EQ(error([](auto& o) { o.generations = 0; }),
            "generations=0 must be at least 1");
  EXPECT_EQ(error([](auto& o) { o.population = 1; }),
            "population=1 is not in 2…4096");
  EXPECT_EQ(error([](auto& o) { o.parents = 17; }),
            "parents=17 is not in 1…population=16; lower it or raise the "
            "population");
  EXPECT_EQ(error([](auto& o) { o.crossovers = -1; }),
            "crossovers=-1 is not in 0…population=16; lower it or raise the "
            "population");
  EXPECT_EQ(error([](auto& o) { o.mutation_rate = 1.5; }),
            "mutation_rate=1.5 must be above 0 and at most 1");
  EXPECT_NE(error([](auto& o) { o.samples = 17; }), "");
}

}  // namespace
}  // namespace evopress::search
