#include "search/knapsack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>

#include "search/budget_sampler.h"
#include "search/greedy.h"
#include "search/weighted_dp.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

Toy RandomToy(uint64_t seed) {
  Rng rng(seed, 123);
  std::vector<int64_t> sizes;
  for (int u = 0; u < 6; ++u) sizes.push_back(rng.Between(1, 40));
  int64_t total = 0;
  for (int64_t size : sizes) total += size;
  return Ungrouped(MakeToy(sizes, {2, 3, 4, 6},
                           rng.Between(2 * total, 6 * total + 20), seed));
}

double BruteForce(const Toy& toy) {
  double best = std::numeric_limits<double>::infinity();
  ForEachAssignment(toy.input.space, [&](const Assignment& assignment) {
    if (!WithinBudgets(toy.input.space, assignment)) return;
    best = std::min(best, Damage(toy, assignment));
  });
  return best;
}

int64_t FullestCost(const Toy& toy) {
  int64_t most = 0;
  ForEachAssignment(toy.input.space, [&](const Assignment& assignment) {
    if (!WithinBudgets(toy.input.space, assignment)) return;
    most = std::max(most, Cost(toy.input.space, assignment, 0));
  });
  return most;
}

TEST(SolveKnapsack, EqualsBruteForce) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    const Toy toy = RandomToy(seed);
    const auto found = SolveKnapsack(toy.input.space, toy.input.layer_errors);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_TRUE(WithinBudgets(toy.input.space, *found));
    EXPECT_NEAR(Damage(toy, *found), BruteForce(toy), 1e-12);
  }
}

TEST(SolveKnapsack, DoesNotNeedDamageThatFallsWithCost) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Toy toy = RandomToy(seed);
    Rng rng(seed, 9);
    for (auto& errors : toy.input.layer_errors) rng.Shuffle(errors);
    const auto found = SolveKnapsack(toy.input.space, toy.input.layer_errors);
    ASSERT_TRUE(found.ok());
    EXPECT_NEAR(Damage(toy, *found), BruteForce(toy), 1e-12);
  }
}

TEST(SolveKnapsack, NeverExceedsTheBudgetWhenRoundedToBuckets) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    const Toy toy = RandomToy(seed);
    const auto found = SolveKnapsack(toy.input.space, toy.input.layer_errors,
                                     /*max_cells=*/(6 + 8) * 24);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_TRUE(WithinBudgets(toy.input.space, *found));
  }
}

TEST(SolveKnapsack, SolvesSpacesWhoseCostsHaveNoCommonDivisor) {
  const Toy toy =
      Ungrouped(MakeToy({int64_t{1} << 40, (int64_t{1} << 40) + 1, 12345678901},
                        {2, 3, 4}, (int64_t{1} << 43), 3));
  const auto found = SolveKnapsack(toy.input.space, toy.input.layer_errors);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(WithinBudgets(toy.input.space, *found));
  EXPECT_NEAR(Damage(toy, *found), BruteForce(toy), 1e-12);
}

TEST(SolveKnapsack, RefusesWhatItCannotHold) {
  const Toy toy = RandomToy(1);
  EXPECT_TRUE(absl::IsResourceExhausted(
      SolveKnapsack(toy.input.space, toy.input.layer_errors, 5).status()));
  Toy poor = RandomToy(1);
  poor.input.space.budgets[0].limit = 1000;
  EXPECT_TRUE(absl::IsFailedPrecondition(
      SolveKnapsack(poor.input.space, poor.input.layer_errors).status()));
}

TEST(Dp, SolvesTheLinearToy) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Toy toy = RandomToy(seed);
    auto strategy = MakeStrategy(toy.input, DpOptions{});
    ASSERT_TRUE(strategy.ok());
    const auto step = (*strategy)->Start();
    ASSERT_TRUE(step.ok()) << step.status();
    EXPECT_NEAR(Damage(toy, std::get<Done>(*step).winner), BruteForce(toy),
                1e-12);
    EXPECT_EQ(std::get<Done>(*step).fitness,
              std::numeric_limits<double>::infinity());
  }
}

// Errors are blind to how much each unit matters; probes are not.
TEST(WeightedDp, LearnsSensitivitiesThatPlainErrorsHide) {
  int better = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const Toy truth = RandomToy(seed);
    StrategyInput input = truth.input;
    for (auto& errors : input.layer_errors) {
      const double own = errors.front();
      for (double& error : errors) error /= own;
    }
    auto weighted = MakeStrategy(input, WeightedDpOptions{});
    ASSERT_TRUE(weighted.ok());
    const auto end = RunToEnd(**weighted, *(*weighted)->Start(),
                              History("test"), ExactMeasure(truth));
    ASSERT_TRUE(end.ok()) << end.status();
    EXPECT_NEAR(Damage(truth, end->done.winner), BruteForce(truth), 1e-12);
    EXPECT_NEAR(end->done.fitness, BruteForce(truth), 1e-9);
    auto plain = MakeStrategy(input, DpOptions{});
    const auto blind = std::get<Done>(*(*plain)->Start()).winner;
    better += Damage(truth, end->done.winner) < Damage(truth, blind) - 1e-12;
  }
  EXPECT_GE(better, 10);
}

TEST(WeightedDp, ProbesTheLevelNearestTheTarget) {
  const Toy toy = MakeToy({64, 32}, {2, 3, 4, 6}, 96 * 3, 1);
  Toy no_constant = toy;
  no_constant.input.space.constant_costs = {0};
  no_constant.input.space.budgets[0].limit = 96 * 3;
  EXPECT_EQ(ProbeLevels(no_constant.input.space),
            (std::vector<uint16_t>{1, 1}));
  EXPECT_EQ(ProbeLevels(toy.input.space), (std::vector<uint16_t>{1, 1}));
  Toy rich = toy;
  rich.input.space.budgets[0].limit = 1 << 20;
  EXPECT_EQ(ProbeLevels(rich.input.space), (std::vector<uint16_t>{2, 2}));
}

TEST(Greedy, LowersTheUnitWithTheLeastDamagePerBit) {
  const SearchSpace space =
      Ungrouped(MakeToy({10, 20}, {2, 3}, 30 * 3 - 1, 1)).input.space;
  // Per bit: 1/10 against 1.5/20.
  EXPECT_EQ(*Descend(space, {{1, 0}, {1.5, 0}}), (Assignment{{1, 0}}));
  EXPECT_EQ(*Descend(space, {{1, 0}, {2.5, 0}}), (Assignment{{0, 1}}));
  // Ties go to the first unit; what cannot be measured comes last.
  EXPECT_EQ(*Descend(space, {{1, 0}, {2, 0}}), (Assignment{{0, 1}}));
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(*Descend(space, {{inf, 0}, {9, 0}}), (Assignment{{1, 0}}));
}

TEST(Greedy, MeasuresEveryStepOnceThenTheResult) {
  const Toy toy = MakeToy({64, 64, 32}, {2, 3, 4}, 160 * 3, 1);
  auto strategy = MakeStrategy(toy.input, GreedyOptions{});
  ASSERT_TRUE(strategy.ok());
  const auto end = RunToEnd(**strategy, *(*strategy)->Start(), History("test"),
                            ExactMeasure(toy));
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->rounds, 2);
  EXPECT_EQ(end->measurements, 1 + 3 * 2 + 1);
  EXPECT_NEAR(end->done.fitness, Damage(toy, end->done.winner), 1e-9);
}

TEST(BudgetSampler, SpendsAsMuchAsAnyAssignmentCan) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    const Toy toy = RandomToy(seed);
    const SearchSpace& space = toy.input.space;
    const auto sampler =
        BudgetSampler::Make(space, AllOptions(space), space.budgets[0].limit);
    ASSERT_TRUE(sampler.ok());
    ASSERT_TRUE(sampler->exact());
    Rng rng(seed);
    EXPECT_EQ(Cost(space, sampler->Draw(rng), 0), FullestCost(toy));
  }
}

TEST(BudgetSampler, DrawsAllFullAssignmentsEquallyOften) {
  const Toy toy = MakeToy({1, 1, 2, 1}, {2, 3, 4}, 14, 1);
  const SearchSpace& space = toy.input.space;
  const auto sampler =
      BudgetSampler::Make(space, AllOptions(space), space.budgets[0].limit);
  ASSERT_TRUE(sampler.ok());
  int full = 0;
  ForEachAssignment(space, [&](const Assignment& assignment) {
    full += Cost(space, assignment, 0) == space.budgets[0].limit;
  });
  std::map<Assignment, int> counts;
  for (uint64_t i = 0; i < 1000u * full; ++i) {
    Rng rng(8, i);
    ++counts[sampler->Draw(rng)];
  }
  EXPECT_EQ(counts.size(), static_cast<size_t>(full));
  for (const auto& [assignment, count] : counts) EXPECT_NEAR(count, 1000, 160);
}

TEST(BudgetSampler, StaysWithinTheBudgetWhenCostsAreCoarse) {
  const Toy toy = MakeToy({(int64_t{1} << 40) + 7, (int64_t{1} << 40) + 1,
                           (int64_t{1} << 39) + 3, 12345678901},
                          {2, 3, 4}, int64_t{1} << 43, 3);
  const SearchSpace& space = toy.input.space;
  const auto sampler =
      BudgetSampler::Make(space, AllOptions(space), space.budgets[0].limit);
  ASSERT_TRUE(sampler.ok());
  EXPECT_FALSE(sampler->exact());
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng(seed);
    EXPECT_TRUE(WithinBudgets(space, sampler->Draw(rng)));
  }
}

TEST(BudgetSampler, CountsBeyondTheRangeOfDoubles) {
  // 5^1000 assignments.
  const Toy toy =
      MakeToy(std::vector<int64_t>(1000, 3), {2, 3, 4, 5, 6}, 3000 * 4, 1);
  const SearchSpace& space = toy.input.space;
  const auto sampler =
      BudgetSampler::Make(space, AllOptions(space), space.budgets[0].limit);
  ASSERT_TRUE(sampler.ok());
  Rng rng(1);
  EXPECT_EQ(Cost(space, sampler->Draw(rng), 0), space.budgets[0].limit);
}

Toy RandomModularToy(uint64_t seed) {
  Rng rng(seed, 321);
  return MakeModularToy(2, {2, 3, 5}, rng.Between(0, 160 * 5), seed);
}

TEST(SolveKnapsack, ChoosesBetweenDroppingAModuleAndTheBestInsideIt) {
  int drops = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    const Toy toy = RandomModularToy(seed);
    const SearchSpace& space = toy.input.space;
    const auto found = SolveKnapsack(space, toy.input.layer_errors);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_TRUE(WithinBudgets(space, *found));
    EXPECT_EQ(*found, Canonical(space, *found));
    EXPECT_NEAR(Damage(toy, *found), BruteForce(toy), 1e-12);
    for (size_t m = 8; m < 12; ++m) drops += found->levels[m] == kDropped;
  }
  EXPECT_GT(drops, 20);
  EXPECT_LT(drops, 140);
}

TEST(SolveKnapsack, NeverExceedsTheBudgetWithModulesInBuckets) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    const Toy toy = RandomModularToy(seed);
    const auto found =
        SolveKnapsack(toy.input.space, toy.input.layer_errors, (12 + 8) * 24);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_TRUE(WithinBudgets(toy.input.space, *found));
  }
}

TEST(SolveKnapsack, DropsTheLeastHarmfulOfEveryKind) {
  const Toy toy = MakeDropToy(4, /*kept=*/4, 3);
  const SearchSpace& space = toy.input.space;
  const auto found = SolveKnapsack(space, toy.input.layer_errors);
  ASSERT_TRUE(found.ok()) << found.status();
  // Kinds keep their shares: two attentions and two MLPs stay.
  double best = std::numeric_limits<double>::infinity();
  ForEachAssignment(space, [&](const Assignment& assignment) {
    int kept[2] = {};
    for (size_t m = 16; m < 24; ++m) kept[m % 2] += assignment.levels[m];
    if (kept[0] == 2 && kept[1] == 2) {
      best = std::min(best, Damage(toy, assignment));
    }
  });
  EXPECT_EQ(Cost(space, *found, 1), 4);
  EXPECT_NEAR(Damage(toy, *found), best, 1e-12);
}

TEST(Greedy, DropsAModuleForAllThatItAndItsLayersCost) {
  // Dropping costs 0.3 and saves 2 x 16 x 4 + 8 bits; lowering a layer to 2
  // bits costs 0.2 and saves 32.
  Toy toy = MakeModularToy(1, {2, 4}, 72 * 4 + 16 - 100, 1);
  SearchSpace& space = toy.input.space;
  const std::vector<std::vector<double>> damage = {{0.2, 0}, {0.2, 0}, {0.9, 0},
                                                   {0.9, 0}, {0.3, 0}, {5, 0}};
  const auto found = Descend(space, damage);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(*found, (Assignment{{0, 0, 1, 1, 0, 1}}));
}

TEST(Greedy, IsTheOneShotScoreOfDepthPruning) {
  const Toy toy = MakeDropToy(4, /*kept=*/5, 9);
  SearchSpace space = toy.input.space;
  for (Unit& unit : space.units) unit.group.clear();
  StrategyInput input = toy.input;
  input.space = space;
  const auto end = Search(input, GreedyOptions{}, ExactMeasure(toy));
  ASSERT_TRUE(end.ok()) << end.status();
  std::vector<std::pair<double, size_t>> harm;
  for (size_t m = 16; m < 24; ++m) {
    harm.emplace_back(toy.input.layer_errors[m][kDropped], m);
  }
  std::sort(harm.begin(), harm.end());
  for (size_t i = 0; i < harm.size(); ++i) {
    EXPECT_EQ(end->done.winner.levels[harm[i].second], i < 3 ? 0 : 1) << i;
  }
}

TEST(BudgetSampler, DrawsAllFullPhenotypesEquallyOften) {
  const Toy toy = MakeModularToy(1, {2, 3, 4}, 168, 1);
  const SearchSpace& space = toy.input.space;
  const auto sampler =
      BudgetSampler::Make(space, AllOptions(space), space.budgets[0].limit);
  ASSERT_TRUE(sampler.ok());
  int64_t most = 0;
  std::map<Assignment, int64_t> phenotypes;
  ForEachAssignment(space, [&](const Assignment& assignment) {
    const int64_t cost = Cost(space, assignment, 0);
    if (cost > space.budgets[0].limit) return;
    most = std::max(most, cost);
    phenotypes[Canonical(space, assignment)] = cost;
  });
  std::erase_if(phenotypes, [&](const auto& p) { return p.second < most; });
  ASSERT_GT(phenotypes.size(), 1u);
  std::map<Assignment, int> counts;
  for (uint64_t i = 0; i < 1000u * phenotypes.size(); ++i) {
    Rng rng(8, i);
    ++counts[Canonical(space, sampler->Draw(rng))];
  }
  EXPECT_EQ(counts.size(), phenotypes.size());
  for (const auto& [assignment, count] : counts) EXPECT_NEAR(count, 1000, 160);
}

TEST(BudgetSampler, CountsModulesBeyondTheRangeOfDoubles) {
  // 26^200 phenotypes; the budget is reached only with modules dropped.
  const Toy toy = MakeModularToy(100, {2, 3, 4, 5, 6}, 100 * 72, 1);
  const SearchSpace& space = toy.input.space;
  const auto sampler =
      BudgetSampler::Make(space, AllOptions(space), space.budgets[0].limit);
  ASSERT_TRUE(sampler.ok()) << sampler.status();
  ASSERT_TRUE(sampler->exact());
  Rng rng(1);
  const Assignment drawn = sampler->Draw(rng);
  EXPECT_EQ(Cost(space, drawn, 0), space.budgets[0].limit);
  EXPECT_LT(Cost(space, drawn, 1), 200);
}

}  // namespace
}  // namespace evopress::search
