#include "search/knapsack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
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

// A second kind that does not follow the first, limited to `share` of what its
// costs range over.
Toy WithSecondBudget(Toy toy, uint64_t seed, double share) {
  SearchSpace& space = toy.input.space;
  space.cost_kinds.push_back("ns");
  space.constant_costs.push_back(7);
  Rng rng(seed, 55);
  for (Unit& unit : space.units) {
    for (LevelChoice& level : unit.menu) {
      level.costs.push_back(rng.Between(0, 1000));
    }
  }
  const CostRange range = ReachableCosts(space, 1);
  space.budgets.push_back(
      {1, range.min + static_cast<int64_t>(
                          share * static_cast<double>(range.max - range.min))});
  return toy;
}

TEST(SolveKnapsack, MeetsASecondBudgetWheneverAnythingDoes) {
  int solved = 0;
  double excess = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    const Toy toy = WithSecondBudget(RandomToy(seed), seed, 0.3);
    const double best = BruteForce(toy);
    const auto found = SolveKnapsack(toy.input.space, toy.input.layer_errors);
    ASSERT_EQ(found.ok(), std::isfinite(best)) << found.status();
    if (!found.ok()) continue;
    EXPECT_TRUE(WithinBudgets(toy.input.space, *found));
    EXPECT_GE(Damage(toy, *found), best - 1e-12);
    ++solved;
    excess += Damage(toy, *found) / best - 1;
  }
  EXPECT_GT(solved, 100);
  // Six units are few: one choice is a sixth of everything.
  EXPECT_LT(excess / solved, 0.35);
}

TEST(SolveKnapsack, WithManyUnitsASecondBudgetCostsLittleBeyondTheOptimum) {
  // The optimum is not below what the prices prove: weak duality, here with
  // the first budget too generous to bind.
  for (uint64_t seed = 0; seed < 5; ++seed) {
    SCOPED_TRACE(seed);
    const std::vector<int64_t> sizes(100, 10);
    const Toy toy = WithSecondBudget(
        Ungrouped(MakeToy(sizes, {2, 3, 4, 6}, 100 * 10 * 6, seed)), seed, 0.2);
    const auto found = SolveKnapsack(toy.input.space, toy.input.layer_errors);
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_TRUE(WithinBudgets(toy.input.space, *found));
    SearchSpace second = toy.input.space;
    second.budgets = {second.budgets[1]};
    auto errors = toy.input.layer_errors;
    for (size_t u = 0; u < errors.size(); ++u) {  // menus rise in the new kind
      std::vector<std::pair<int64_t, double>> levels;
      for (size_t l = 0; l < errors[u].size(); ++l) {
        levels.emplace_back(second.units[u].menu[l].costs[1], errors[u][l]);
        second.units[u].menu[l].name =
            absl::StrCat(1000000 + levels[l].first, "-", l);
      }
      std::sort(levels.begin(), levels.end());
      for (size_t l = 0; l < levels.size(); ++l)
        errors[u][l] = levels[l].second;
    }
    SortMenus(second);
    const auto exact = SolveKnapsack(second, errors);
    ASSERT_TRUE(exact.ok()) << exact.status();
    double best = 0;
    for (size_t u = 0; u < errors.size(); ++u) {
      best += errors[u][exact->levels[u]];
    }
    EXPECT_LT(Damage(toy, *found), 1.02 * best);
  }
}

TEST(SolveKnapsack, SaysWhichBudgetsExcludeEachOther) {
  Toy toy = WithSecondBudget(RandomToy(3), 3, 0);
  toy.input.space.budgets[1].limit -= 1;
  const auto found = SolveKnapsack(toy.input.space, toy.input.layer_errors);
  EXPECT_EQ(found.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(found.status().message().find("ns"), std::string::npos)
      << found.status();
}

TEST(EveryStrategyThatSolves, KeepsToBothBudgets) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    SCOPED_TRACE(seed);
    const std::vector<int64_t> sizes(24, 10);
    Toy toy = WithSecondBudget(MakeToy(sizes, {2, 3, 4, 6}, 24 * 10 * 3, seed),
                               seed, 0.35);
    GuidedOptions guided;
    guided.samples = {1, 2};
    guided.decision_samples = 2;
    guided.races = 3;
    EvoPressOptions evopress;
    evopress.generations = 3;
    evopress.stages = {{2, 1}, {1, 2}};
    evopress.initial_samples = 2;
    for (const StrategyOptions& options :
         {StrategyOptions(DpOptions{}), StrategyOptions(WeightedDpOptions{}),
          StrategyOptions(guided), StrategyOptions(evopress)}) {
      SCOPED_TRACE(StrategyName(options));
      const auto result = Search(toy.input, options, NoisyMeasure(toy));
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_TRUE(WithinBudgets(toy.input.space, result->done.winner));
    }
  }
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

TEST(BudgetSampler, DrawsInProportionToTheProductOfWeights) {
  const Toy toy = MakeToy({1, 1, 2, 1}, {2, 3, 4}, 14, 1);
  const SearchSpace& space = toy.input.space;
  const Weights weights = {{1, 2, 3}, {0.5, 0.1, 0.4}, {1, 1, 4}, {9, 1, 1}};
  const auto sampler = BudgetSampler::Make(space, AllOptions(space),
                                           space.budgets[0].limit, weights);
  ASSERT_TRUE(sampler.ok());
  std::map<Assignment, double> probability;
  double total = 0;
  ForEachAssignment(space, [&](const Assignment& assignment) {
    if (Cost(space, assignment, 0) != space.budgets[0].limit) return;
    double weight = 1;
    for (size_t u = 0; u < 4; ++u) weight *= weights[u][assignment.levels[u]];
    probability[assignment] = weight;
    total += weight;
  });
  Weights marginals(4, {0, 0, 0});
  std::map<Assignment, double> drawn;
  constexpr int kDraws = 40000;
  for (uint64_t i = 0; i < kDraws; ++i) {
    Rng rng(8, i);
    drawn[sampler->Draw(rng)] += 1.0 / kDraws;
  }
  EXPECT_EQ(drawn.size(), probability.size());
  for (const auto& [assignment, weight] : probability) {
    EXPECT_NEAR(drawn[assignment], weight / total, 0.01);
    for (size_t u = 0; u < 4; ++u) {
      marginals[u][assignment.levels[u]] += weight / total;
    }
  }
  const Weights found = sampler->Marginals();
  for (size_t u = 0; u < 4; ++u) {
    for (size_t l = 0; l < 3; ++l) {
      EXPECT_NEAR(found[u][l], marginals[u][l], 1e-12);
    }
  }
}

TEST(BudgetSampler, WeighsBeyondTheRangeOfDoubles) {
  // Products of 1000 weights, far below the least double and above the most.
  for (double scale : {1e-3, 1e3}) {
    const Toy toy =
        MakeToy(std::vector<int64_t>(1000, 3), {2, 3, 4}, 3000 * 3, 1);
    const SearchSpace& space = toy.input.space;
    const auto sampler =
        BudgetSampler::Make(space, AllOptions(space), space.budgets[0].limit,
                            Weights(1000, {scale, 2 * scale, scale}));
    ASSERT_TRUE(sampler.ok());
    Rng rng(1);
    EXPECT_EQ(Cost(space, sampler->Draw(rng), 0), space.budgets[0].limit);
    for (const std::vector<double>& p : sampler->Marginals()) {
      EXPECT_NEAR(p[1], 0.5, 1e-3);
      EXPECT_NEAR(p[0], p[2], 1e-12);
    }
  }
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

TEST(SolveKnapsack, PricesFurtherBudgetsThroughModules) {
  int solved = 0;
  double excess = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    Toy toy = RandomModularToy(seed);
    toy.input.space.budgets.push_back({1, 2});
    const double best = BruteForce(toy);
    const auto found = SolveKnapsack(toy.input.space, toy.input.layer_errors);
    ASSERT_EQ(found.ok(), std::isfinite(best)) << found.status();
    if (!found.ok()) continue;
    EXPECT_TRUE(WithinBudgets(toy.input.space, *found));
    EXPECT_EQ(*found, Canonical(toy.input.space, *found));
    EXPECT_GE(Damage(toy, *found), best - 1e-12);
    ++solved;
    excess += Damage(toy, *found) / best - 1;
  }
  EXPECT_GT(solved, 30);
  EXPECT_LT(excess / solved, 0.1);
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
