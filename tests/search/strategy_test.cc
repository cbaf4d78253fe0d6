// What every strategy promises.
#include "search/strategy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <variant>

#include "search/digest.h"
#include "search/group_shares.h"
#include "search/uniform.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Case {
  std::string name;
  StrategyOptions options;
  bool fills;  // spends the whole budget in every round
  int version;
  std::string fingerprint;  // of what this version does
};

std::vector<Case> Cases() {
  EvoPressOptions evopress;
  evopress.generations = 6;
  evopress.offspring = 8;
  evopress.stages = {{4, 1}, {2, 2}, {1, 4}};
  evopress.initial_candidates = 6;
  FixedOptions fixed;
  fixed.assignments = {Assignment{{0, 0, 0, 0, 0, 0, 0, 0}},
                       Assignment{{1, 1, 0, 1, 0, 0, 0, 0}}};
  GuidedOptions guided;
  guided.races = 4;
  guided.candidates = 6;
  guided.samples = {1, 2, 4};
  guided.decision_samples = 4;
  PolicyGradientOptions policy_gradient;
  policy_gradient.steps = 6;
  policy_gradient.draws = 6;
  policy_gradient.final_samples = 4;
  SubnetGaOptions subnet_ga;
  subnet_ga.generations = 6;
  subnet_ga.population = 8;
  subnet_ga.parents = 4;
  subnet_ga.crossovers = 3;
  subnet_ga.mutation_rate = 0.5;
  subnet_ga.samples = 2;
  return {{"evopress", evopress, true, 2, "06b5047850778114"},
          {"uniform", UniformOptions{}, false, 1, "27689800cd252b54"},
          {"random", RandomOptions{12, 4, Metric::kKl}, true, 1,
           "3655ce0945e3b41e"},
          {"greedy", GreedyOptions{}, false, 1, "26e76f5017957ee3"},
          {"dp", DpOptions{}, false, 2, "c652fc91c1764e76"},
          {"weighted-dp", WeightedDpOptions{}, false, 2, "52a53e8b3447ee50"},
          {"fixed", fixed, false, 1, "f9dbf6a5d0ac712f"},
          {"guided", guided, false, 6, "27ae54483126db70"},
          {"brute-force", BruteForceOptions{1, Metric::kKl}, false, 1,
           "15ed95d097e7e995"},
          {"policy-gradient", policy_gradient, false, 1, "7ddc9de904187fbb"},
          {"subnet-ga", subnet_ga, true, 1, "e6e3c413d13ca836"}};
}

// 320 weights at 2.5 bits: spent exactly, in many ways.
Toy Fractional(uint64_t seed = 1) {
  return MakeToy({64, 64, 32, 32, 32, 32, 32, 32}, {2, 3, 4}, 320 * 5 / 2,
                 seed);
}

// Of strategies that need scores of the model, and so spaces of their own: the
// same promise. `scores` random numbers a unit from 0 to 1.
std::vector<std::vector<double>> RandomScores(const SearchSpace& space,
                                              size_t scores, uint64_t seed) {
  Rng rng(seed, 79);
  std::vector<std::vector<double>> all(space.units.size());
  for (std::vector<double>& one : all) {
    for (size_t i = 0; i < scores; ++i) one.push_back(rng.Uniform());
  }
  return all;
}

// Eight layers of 64 or 32 weights, half of which stay.
StrategyInput SparseInput(uint64_t seed) {
  StrategyInput input;
  SearchSpace& space = input.space;
  space.cost_kinds = {"nonzeros"};
  space.constant_costs = {0};
  for (int u = 0; u < 8; ++u) {
    Unit unit;
    unit.name = "unit." + std::to_string(u);
    unit.layers = {unit.name};
    unit.weights = u < 4 ? 64 : 32;
    for (int64_t kept = 0; kept <= unit.weights; kept += 8) {
      unit.menu.push_back(
          {"wanda:z" + std::to_string(unit.weights - kept), {kept}});
    }
    space.units.push_back(std::move(unit));
  }
  space.budgets = {{0, (4 * 64 + 4 * 32) / 2}};
  input.seed = seed;
  input.scores = RandomScores(space, 1, seed);
  return input;
}

// Modules of four blocks, or whole blocks, of which `kept` may stay.
StrategyInput DropInput(uint64_t seed, bool blocks) {
  StrategyInput input = MakeDropToy(4, blocks ? 3 : 6, seed).input;
  SearchSpace& space = input.space;
  if (blocks) {
    // The second module of a block joins the first.
    const size_t first = space.units.size() - 8;
    for (size_t u = 0; u < first; ++u) {
      int& module = space.units[u].module;
      module = static_cast<int>(first) + (module - static_cast<int>(first)) / 2;
    }
    for (size_t b = 0; b < 4; ++b) {
      Unit& block = space.units[first + b];
      const Unit attention = space.units[first + 2 * b];
      const Unit mlp = space.units[first + 2 * b + 1];
      block = attention;
      block.name = "layers." + std::to_string(b);
      block.layers = {attention.name, mlp.name};
      block.group.clear();
    }
    space.units.resize(first + 4);
    input.layer_errors.clear();
  }
  input.scores = RandomScores(space, blocks ? 4 : 1, seed);
  return input;
}

TEST(ScoredStrategies, DoSomethingElseOnlyInAnotherVersion) {
  struct Scored {
    StrategyOptions options;
    StrategyInput (*input)(uint64_t seed);
    int version;
    std::string fingerprint;
  };
  const auto modules = [](uint64_t seed) { return DropInput(seed, false); };
  const auto blocks = [](uint64_t seed) { return DropInput(seed, true); };
  const std::vector<Scored> all = {
      {OwlOptions{}, SparseInput, 1, "812aac4e50ac9adb"},
      {DropScoreOptions{ModelScore::kCosine}, modules, 1, "47ba60eb27fda7b6"},
      {DropScoreOptions{ModelScore::kWindows}, blocks, 1, "e86761e1866e0002"}};
  std::set<std::string> names;
  for (const Scored& scored : all) {
    const std::string name = StrategyName(scored.options);
    SCOPED_TRACE(name);
    names.insert(name);
    std::string done;
    for (uint64_t seed = 0; seed < 8; ++seed) {
      const auto result =
          Search(scored.input(seed), scored.options,
                 [](const Assignment&, int32_t) { return SampleSums(); });
      ASSERT_TRUE(result.ok()) << result.status();
      done += result->history_hash + Hash(result->done.winner);
    }
    EXPECT_EQ(Sha256Hex(done).substr(0, 16), scored.fingerprint)
        << "raise the version of " << name
        << " in strategy_options.cc, then expect both here";
    EXPECT_EQ(StrategyVersion(scored.options), scored.version);
  }
  EXPECT_EQ(Cases().size() + names.size(),
            std::variant_size_v<StrategyOptions>);
}

class EveryStrategy : public testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<Strategy> Make(const Toy& toy) {
    auto made = MakeStrategy(toy.input, GetParam().options);
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }
  ReplayResult Run(const Toy& toy, const Measure& measure,
                   const RoundObserver& observer = {}) {
    auto result = Search(toy.input, GetParam().options, measure, observer);
    EXPECT_TRUE(result.ok()) << result.status();
    return *result;
  }
};

TEST_P(EveryStrategy, IsNamedAndPlanned) {
  EXPECT_EQ(StrategyName(GetParam().options), GetParam().name);
  const Toy toy = Fractional();
  const ReplayResult result = Run(toy, NoisyMeasure(toy));
  EXPECT_LE(result.measurements * toy.input.sample_tokens,
            PlannedTokens(toy.input, GetParam().options));
}

TEST_P(EveryStrategy, DoesSomethingElseOnlyInAnotherVersion) {
  std::string done;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const Toy toy = Fractional(seed);
    const ReplayResult result = Run(toy, NoisyMeasure(toy));
    done += result.history_hash + Hash(result.done.winner);
  }
  EXPECT_EQ(Sha256Hex(done).substr(0, 16), GetParam().fingerprint)
      << "raise the version of " << GetParam().name
      << " in strategy_options.cc, then expect both here";
  EXPECT_EQ(StrategyVersion(GetParam().options), GetParam().version);
}

TEST_P(EveryStrategy, MeetsTheBudgetExactlyWherePossible) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const Toy toy = Fractional(seed);
    const int64_t limit = toy.input.space.budgets[0].limit;
    const ReplayResult result =
        Run(toy, NoisyMeasure(toy), [&](const Round& round) {
          for (const Evaluation& evaluation : round.evaluations) {
            if (!GetParam().fills) continue;
            ASSERT_EQ(Cost(toy.input.space, evaluation.assignment, 0), limit);
          }
        });
    EXPECT_LE(Cost(toy.input.space, result.done.winner, 0), limit);
    EXPECT_TRUE(Validate(toy.input.space, result.done.winner).ok());
  }
}

TEST_P(EveryStrategy, MovesNoBudgetBetweenGroups) {
  if (GetParam().name == "fixed") GTEST_SKIP() << "fixed ignores budgets";
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const Toy toy = Fractional(seed);
    const SearchSpace& space = toy.input.space;
    const Assignment winner = Run(toy, NoisyMeasure(toy)).done.winner;
    for (const GroupShare& share : GroupShares(space)) {
      int64_t spent = 0;
      for (size_t u : share.units) {
        spent += space.units[u].menu[winner.levels[u]].costs[0];
      }
      EXPECT_LE(spent, share.limit) << space.units[share.units[0]].group;
    }
  }
}

TEST_P(EveryStrategy, RoundsAreNumberedDistinctAndInsideTheData) {
  const Toy toy = Fractional();
  int64_t index = 0;
  double progress = 0;
  Run(toy, NoisyMeasure(toy), [&](const Round& round) {
    EXPECT_EQ(round.index, index++);
    EXPECT_FALSE(round.purpose.empty());
    EXPECT_GE(round.progress, progress);
    EXPECT_LE(round.progress, 1);
    progress = round.progress;
    std::set<Assignment> distinct;
    for (const Evaluation& evaluation : round.evaluations) {
      EXPECT_TRUE(distinct.insert(evaluation.assignment).second);
      EXPECT_TRUE(
          std::is_sorted(evaluation.samples.begin(), evaluation.samples.end()));
      EXPECT_EQ(std::set<int32_t>(evaluation.samples.begin(),
                                  evaluation.samples.end())
                    .size(),
                evaluation.samples.size());
      EXPECT_GE(evaluation.samples.front(), 0);
      EXPECT_LT(evaluation.samples.back(), toy.input.num_samples);
    }
  });
}

TEST_P(EveryStrategy, SameSeedGivesTheSameHistoryAndOtherSeedsOthers) {
  std::set<std::string> hashes;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    Toy toy = Fractional();
    toy.input.seed = seed;
    const ReplayResult first = Run(toy, NoisyMeasure(toy));
    const ReplayResult again = Run(toy, NoisyMeasure(toy));
    EXPECT_EQ(first.history_hash, again.history_hash);
    EXPECT_EQ(first.done.winner, again.done.winner);
    hashes.insert(first.history_hash);
  }
  const bool random = std::set<std::string>{"evopress", "random",
                                            "policy-gradient", "subnet-ga"}
                          .count(GetParam().name) == 1;
  EXPECT_EQ(hashes.size(), random ? 4u : hashes.size());
}

TEST_P(EveryStrategy, EndsAlikeWhenRestoredAtAnyRound) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const Toy toy = Fractional(seed);
    const Measure measure = NoisyMeasure(toy);
    const ReplayResult whole = Run(toy, measure);
    auto strategy = Make(toy);
    absl::StatusOr<Step> step = strategy->Start();
    History history("test");
    while (true) {
      ASSERT_TRUE(step.ok());
      auto restored = Make(toy);
      const std::string snapshot = strategy->Snapshot();
      const absl::StatusOr<Step> pending = restored->Restore(snapshot);
      ASSERT_TRUE(pending.ok()) << pending.status();
      EXPECT_EQ(restored->Snapshot(), snapshot);
      ASSERT_EQ(restored->incumbent().has_value(),
                strategy->incumbent().has_value());
      const auto end = RunToEnd(*restored, *pending, history, measure);
      ASSERT_TRUE(end.ok()) << end.status();
      EXPECT_EQ(end->history_hash, whole.history_hash);
      EXPECT_EQ(end->done.winner, whole.done.winner);
      EXPECT_EQ(end->done.fitness, whole.done.fitness);
      if (std::holds_alternative<Done>(*step)) break;
      const Round round = std::get<Round>(*step);
      const RoundResults results = MeasureRound(round, measure);
      history.Add(round, results);
      step = strategy->Tell(results);
    }
  }
}

TEST_P(EveryStrategy, RefusesResultsThatDoNotFitAndStaysUnchanged) {
  const Toy toy = Fractional();
  auto strategy = Make(toy);
  EXPECT_FALSE(strategy->Tell({}).ok());
  auto step = strategy->Start();
  ASSERT_TRUE(step.ok());
  EXPECT_FALSE(strategy->Start().ok());
  const std::string before = strategy->Snapshot();
  if (std::holds_alternative<Done>(*step)) {
    EXPECT_TRUE(absl::IsFailedPrecondition(strategy->Tell({}).status()));
    return;
  }
  RoundResults results =
      MeasureRound(std::get<Round>(*step), ExactMeasure(toy));
  results.pop_back();
  EXPECT_TRUE(absl::IsInvalidArgument(strategy->Tell(results).status()));
  results.push_back({});
  EXPECT_TRUE(absl::IsInvalidArgument(strategy->Tell(results).status()));
  EXPECT_EQ(strategy->Snapshot(), before);
}

TEST_P(EveryStrategy, RefusesDamagedAndForeignSnapshots) {
  const Toy toy = Fractional();
  auto strategy = Make(toy);
  EXPECT_TRUE(
      absl::IsDataLoss(Make(toy)->Restore(strategy->Snapshot()).status()));
  ASSERT_TRUE(strategy->Start().ok());
  const std::string snapshot = strategy->Snapshot();
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[1]"),
        std::string("null"), snapshot.substr(0, snapshot.size() / 2)}) {
    EXPECT_TRUE(absl::IsDataLoss(Make(toy)->Restore(text).status())) << text;
  }
  for (size_t i = 0; i < snapshot.size(); i += 7) {
    std::string damaged = snapshot;
    damaged[i] = damaged[i] == '1' ? '2' : '1';
    if (damaged == snapshot) continue;
    EXPECT_TRUE(absl::IsDataLoss(Make(toy)->Restore(damaged).status())) << i;
  }
  Toy other = toy;
  other.input.seed = 99;
  EXPECT_TRUE(absl::IsDataLoss(Make(other)->Restore(snapshot).status()));
  EXPECT_FALSE(strategy->Restore(snapshot).ok());
}

TEST_P(EveryStrategy, EndsWhateverTheMeasurementsAre) {
  const Toy toy = Fractional();
  for (double value : {kNan, kInf, -kInf, 0.0, -1.0, 1e308}) {
    const ReplayResult result = Run(toy, [&](const Assignment&, int32_t) {
      return SampleSums{value, 0, 0, 10};
    });
    EXPECT_TRUE(Validate(toy.input.space, result.done.winner).ok());
    EXPECT_FALSE(std::isnan(result.done.fitness));
  }
  const ReplayResult unscored = Run(toy, [](const Assignment&, int32_t) {
    return SampleSums{1, 0, 0, 0};
  });
  EXPECT_EQ(unscored.done.fitness, kInf);
}

TEST_P(EveryStrategy, TheIncumbentOfAnEndedSearchIsItsWinner) {
  const Toy toy = Fractional();
  auto strategy = Make(toy);
  EXPECT_FALSE(strategy->incumbent().has_value());
  const auto end = RunToEnd(*strategy, *strategy->Start(), History("test"),
                            NoisyMeasure(toy));
  ASSERT_TRUE(end.ok());
  ASSERT_TRUE(strategy->incumbent().has_value());
  EXPECT_EQ(strategy->incumbent()->assignment, end->done.winner);
}

TEST_P(EveryStrategy, CopesWithOneUnitAndOneLevel) {
  for (const Toy& toy :
       {MakeToy({64}, {2, 3, 4}, 64 * 3 + 1, 1), MakeToy({64}, {3}, 64 * 3, 1),
        MakeToy({64, 32}, {3}, 96 * 4, 1)}) {
    StrategyOptions options = GetParam().options;
    if (auto* fixed = std::get_if<FixedOptions>(&options)) {
      fixed->assignments = {
          Assignment{std::vector<uint16_t>(toy.input.space.units.size(), 0)}};
    }
    auto strategy = MakeStrategy(toy.input, options);
    ASSERT_TRUE(strategy.ok()) << strategy.status();
    auto step = (*strategy)->Start();
    ASSERT_TRUE(step.ok()) << step.status();
    const auto end =
        RunToEnd(**strategy, *step, History("test"), ExactMeasure(toy));
    ASSERT_TRUE(end.ok()) << end.status();
    EXPECT_TRUE(WithinBudgets(toy.input.space, end->done.winner));
  }
}

TEST_P(EveryStrategy, SaysWhenTheBudgetIsOutOfReach) {
  if (GetParam().name == "fixed") GTEST_SKIP() << "fixed ignores budgets";
  Toy toy = Fractional();
  toy.input.space.budgets[0].limit = 1000 + 320 * 2 - 1;
  EXPECT_TRUE(absl::IsFailedPrecondition(Make(toy)->Start().status()));
  toy.input.space.budgets.clear();
  EXPECT_TRUE(absl::IsInvalidArgument(
      MakeStrategy(toy.input, GetParam().options).status()));
}

TEST_P(EveryStrategy, KeepsEveryBudgetOrSaysThatItCannot) {
  if (GetParam().name == "fixed") GTEST_SKIP() << "fixed ignores budgets";
  for (int64_t limit : {0, 1, 2, 4, 8}) {
    Toy toy = Fractional();
    toy.input.space.cost_kinds.push_back("raised");
    toy.input.space.constant_costs.push_back(0);
    for (Unit& unit : toy.input.space.units) {
      for (size_t l = 0; l < unit.menu.size(); ++l) {
        unit.menu[l].costs.push_back(l);
      }
    }
    toy.input.space.budgets.push_back({1, limit});
    auto strategy = Make(toy);
    const auto step = strategy->Start();
    if (!step.ok()) {
      EXPECT_TRUE(absl::IsFailedPrecondition(step.status()));
      continue;
    }
    const auto end =
        RunToEnd(*strategy, *step, History("test"), ExactMeasure(toy));
    if (!end.ok()) {
      EXPECT_TRUE(absl::IsFailedPrecondition(end.status())) << end.status();
      continue;
    }
    EXPECT_TRUE(WithinBudgets(toy.input.space, end->done.winner)) << limit;
  }
}

TEST_P(EveryStrategy, AsksForPhenotypesWithinTheBudgetWhereThereAreModules) {
  if (GetParam().name == "fixed") GTEST_SKIP() << "fixed ignores budgets";
  const bool refused = GetParam().name == "policy-gradient";
  for (uint64_t seed = 0; seed < 5; ++seed) {
    Toy two_budgets = MakeModularToy(2, {2, 3, 4}, 2 * 72 * 3, seed);
    two_budgets.input.space.budgets.push_back({1, 3});
    for (const Toy& toy :
         {MakeDropToy(4, /*kept=*/6, seed),
          MakeModularToy(2, {2, 3, 4}, 2 * 72 * 3, seed), two_budgets}) {
      SCOPED_TRACE(seed);
      const SearchSpace& space = toy.input.space;
      const auto result =
          Search(toy.input, GetParam().options, NoisyMeasure(toy),
                 [&](const Round& round) {
                   for (const Evaluation& evaluation : round.evaluations) {
                     for (size_t u = 0; u < space.units.size(); ++u) {
                       ASSERT_TRUE(IsActive(space, evaluation.assignment, u) ||
                                   evaluation.assignment.levels[u] == 0);
                     }
                   }
                 });
      // Modules are not alike: uniform keeps them all or says that it cannot.
      if (refused ||
          (GetParam().name == "uniform" && space.budgets.back().kind == 1)) {
        EXPECT_TRUE(absl::IsFailedPrecondition(result.status()))
            << result.status();
        continue;
      }
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_TRUE(WithinBudgets(space, result->done.winner));
      EXPECT_EQ(result->done.winner, Canonical(space, result->done.winner));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryStrategy, testing::ValuesIn(Cases()),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

TEST(MeanMetric, IsTheSumOverPositions) {
  const std::vector<SampleSums> samples = {{2, 20, 200, 3}, {4, 40, 400, 1}};
  EXPECT_EQ(MeanMetric(samples, Metric::kKl), 1.5);
  EXPECT_EQ(MeanMetric(samples, Metric::kTopKKl), 15);
  EXPECT_EQ(MeanMetric(samples, Metric::kNll), 150);
}

TEST(MeanMetric, IsInfiniteWhereNothingCanBeSaid) {
  EXPECT_EQ(MeanMetric({}, Metric::kKl), kInf);
  EXPECT_EQ(MeanMetric({{1, 1, 1, 0}}, Metric::kKl), kInf);
  EXPECT_EQ(MeanMetric({{kNan, 1, 1, 4}}, Metric::kKl), kInf);
  EXPECT_EQ(MeanMetric({{-kInf, 1, 1, 4}}, Metric::kKl), kInf);
  EXPECT_EQ(MeanMetric({{1, kNan, 1, 4}}, Metric::kKl), 0.25);
  EXPECT_EQ(MeanMetric({{1, 1, 1, -4}}, Metric::kKl), kInf);
  EXPECT_EQ(MeanMetric({{1, 1, 1, INT64_MAX}, {1, 1, 1, 1}}, Metric::kKl),
            kInf);
}

TEST(Strategies, DpNeedsLayerErrorsAndChecksThem) {
  Toy toy = Fractional();
  EXPECT_TRUE(NeedsLayerErrors(DpOptions{}));
  EXPECT_FALSE(NeedsLayerErrors(EvoPressOptions{}));
  Toy without = toy;
  without.input.layer_errors.clear();
  EXPECT_TRUE(absl::IsFailedPrecondition(
      MakeStrategy(without.input, DpOptions{}).status()));
  for (double bad : {kNan, kInf, -1.0}) {
    Toy wrong = toy;
    wrong.input.layer_errors[2][1] = bad;
    EXPECT_TRUE(absl::IsInvalidArgument(
        MakeStrategy(wrong.input, DpOptions{}).status()));
  }
  toy.input.layer_errors[1].pop_back();
  EXPECT_TRUE(
      absl::IsInvalidArgument(MakeStrategy(toy.input, DpOptions{}).status()));
}

TEST(Strategies, PlannedTokensSaturate) {
  Toy toy = Fractional();
  toy.input.sample_tokens = INT64_MAX / 2;
  EXPECT_EQ(PlannedTokens(toy.input, RandomOptions{}), INT64_MAX);
  EXPECT_EQ(PlannedTokens(toy.input, UniformOptions{}), 0);
}

TEST(Uniform, TakesTheDearestLevelThatFits) {
  const Toy toy = Fractional();
  const auto found = DearestUniform(toy.input.space);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->level, "gptq:b2:g64:asym");
}

TEST(Uniform, UnitsWithoutAChoiceTakeTheirOnlyLevel) {
  Toy toy = Fractional();
  toy.input.space.units[7].menu = {{"keep", {512}}};
  toy.input.space.budgets[0].limit += 1000;
  const auto found = DearestUniform(toy.input.space);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->level, "gptq:b4:g64:asym");
  EXPECT_EQ(found->assignment.levels.back(), 0);
}

TEST(Uniform, KeepsEveryModule) {
  const Toy toy = MakeModularToy(2, {2, 3, 4}, 2 * 72 * 3 + 32, 1);
  const auto found = DearestUniform(toy.input.space);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->level, "gptq:b3:g64:asym");
  EXPECT_EQ(found->cost, toy.input.space.budgets[0].limit);
  Toy poor = toy;
  poor.input.space.budgets[0].limit = 1000 + 2 * 72 * 2;
  EXPECT_NE(DearestUniform(poor.input.space)
                .status()
                .ToString()
                .find("with every module kept"),
            std::string::npos);
}

}  // namespace
}  // namespace evopress::search
