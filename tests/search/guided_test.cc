// What the guided strategy promises on toys whose optimum is known.
#include "search/guided.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "search/knapsack.h"
#include "search/trust_region.h"
#include "search/uniform.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

// 16 units in blocks of two; layer errors tell nothing of how sensitive units
// are, so that plain dp is wrong and sensitivities must be measured.
struct Rugged {
  Toy toy;
  std::vector<double> sensitivity;
  // Extra damage when both units of a block are below three bits.
  std::vector<double> synergy;

  double Damage(const Assignment& assignment) const {
    double total = 0;
    for (size_t u = 0; u < assignment.levels.size(); ++u) {
      total += sensitivity[u] * toy.input.layer_errors[u][assignment.levels[u]];
    }
    for (size_t b = 0; b < synergy.size(); ++b) {
      if (assignment.levels[2 * b] == 0 && assignment.levels[2 * b + 1] == 0) {
        total += synergy[b];
      }
    }
    return total;
  }

  // Samples weigh units differently, up to `spread` more or less.
  Measure Samples(double spread) const {
    return [this, spread](const Assignment& assignment, int32_t sample) {
      double total = 0;
      for (size_t u = 0; u < assignment.levels.size(); ++u) {
        Rng rng(u, 9, static_cast<uint32_t>(sample));
        const double weight = 1 + spread * (2 * rng.Uniform() - 1);
        total += weight * sensitivity[u] *
                 toy.input.layer_errors[u][assignment.levels[u]];
      }
      for (size_t b = 0; b < synergy.size(); ++b) {
        if (assignment.levels[2 * b] == 0 &&
            assignment.levels[2 * b + 1] == 0) {
          total += synergy[b];
        }
      }
      return SampleSums{100 * total, 0, 0, 100};
    };
  }

  Assignment Optimum() const {
    Assignment best;
    double least = std::numeric_limits<double>::infinity();
    ForEachAssignment(toy.input.space, [&](const Assignment& assignment) {
      if (!WithinBudgets(toy.input.space, assignment)) return;
      const double damage = Damage(assignment);
      if (damage >= least) return;
      least = damage;
      best = assignment;
    });
    return best;
  }
};

Rugged MakeRugged(size_t units, uint64_t seed, double synergy = 0) {
  Rugged rugged;
  rugged.toy = MakeToy(std::vector<int64_t>(units, 64), {2, 3, 4},
                       static_cast<int64_t>(units) * 64 * 3, seed);
  rugged.toy.input.num_samples = 64;
  for (size_t u = 0; u < units; ++u) {
    rugged.toy.input.space.units[u].name = absl::StrCat("blocks.", u, ".proj");
  }
  Rng rng(seed, 123);
  for (size_t u = 0; u < units; ++u) {
    rugged.sensitivity.push_back(rng.Uniform() < 0.5 ? 0.2 : 3);
  }
  if (synergy > 0) {
    for (size_t b = 0; b < units / 2; ++b) {
      rugged.synergy.push_back(rng.Uniform() * synergy);
    }
  }
  return rugged;
}

TEST(Guided, ReachesTheOptimumOfLinearDamage) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const Rugged rugged = MakeRugged(10, seed);
    const auto found =
        Search(rugged.toy.input, GuidedOptions{}, rugged.Samples(0))
            ->done.winner;
    EXPECT_NEAR(rugged.Damage(found), rugged.Damage(rugged.Optimum()), 1e-12);
  }
}

TEST(Guided, FindsPairsThatTheLinearSolutionGetsWrong) {
  int linear_wrong = 0, right = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Rugged rugged = MakeRugged(10, seed, 0.3);
    const double optimum = rugged.Damage(rugged.Optimum());
    const auto measure = rugged.Samples(0);
    const auto linear =
        Search(rugged.toy.input, WeightedDpOptions{}, measure)->done.winner;
    const auto guided =
        Search(rugged.toy.input, GuidedOptions{}, measure)->done.winner;
    linear_wrong += rugged.Damage(linear) > optimum + 1e-12;
    right += rugged.Damage(guided) <= optimum + 1e-12;
  }
  EXPECT_GE(linear_wrong, 5);
  EXPECT_GE(right, 18);
}

TEST(Guided, IsCloserThanEvoPressAtEqualTokensWhenSamplesDisagree) {
  double guided = 0, evopress = 0, uniform = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Rugged rugged = MakeRugged(60, seed, 0.05);
    const auto measure = rugged.Samples(0.5);
    const auto found = Search(rugged.toy.input, GuidedOptions{}, measure);
    ASSERT_TRUE(found.ok()) << found.status();
    EvoPressOptions options;
    options.generations = 1 + static_cast<int32_t>(found->measurements / 72);
    const auto evolved = Search(rugged.toy.input, options, measure);
    ASSERT_TRUE(evolved.ok()) << evolved.status();
    ASSERT_GE(evolved->measurements, found->measurements);
    guided += rugged.Damage(found->done.winner);
    evopress += rugged.Damage(evolved->done.winner);
    uniform +=
        rugged.Damage(DearestUniform(rugged.toy.input.space)->assignment);
  }
  EXPECT_LT(guided, evopress);
  EXPECT_LT(evopress, uniform);
}

// Samples disagree far more about some units than about others.
TEST(Guided, IsNotMisledByUnitsThatAreMeasuredBadly) {
  double guided = 0, linear = 0, optimum = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Rugged rugged = MakeRugged(10, seed);
    const Measure noisy = [&](const Assignment& assignment, int32_t sample) {
      double total = 0;
      for (size_t u = 0; u < assignment.levels.size(); ++u) {
        Rng rng(u, 10, static_cast<uint32_t>(sample));
        const double spread = u % 3 == 0 ? 3 : 0.1;
        total += (1 + spread * (2 * rng.Uniform() - 1)) *
                 rugged.sensitivity[u] *
                 rugged.toy.input.layer_errors[u][assignment.levels[u]];
      }
      return SampleSums{100 * total, 0, 0, 100};
    };
    guided += rugged.Damage(
        Search(rugged.toy.input, GuidedOptions{}, noisy)->done.winner);
    linear += rugged.Damage(
        Search(rugged.toy.input, WeightedDpOptions{}, noisy)->done.winner);
    optimum += rugged.Damage(rugged.Optimum());
  }
  EXPECT_LT(guided, linear);
  EXPECT_LT(guided - optimum, (linear - optimum) / 2);
}

// Perplexity has a floor that no level explains, another one on every sample.
TEST(Guided, LearnsFromPerplexityToo) {
  double guided = 0, plain = 0, optimum = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Rugged rugged = MakeRugged(10, seed);
    const Measure divergence = rugged.Samples(0.2);
    const Measure measure = [&](const Assignment& assignment, int32_t sample) {
      const double floor = 250 + 10 * (sample % 7);
      return SampleSums{0, 0, floor + divergence(assignment, sample).kl, 100};
    };
    GuidedOptions options;
    options.fitness = Metric::kNll;
    guided +=
        rugged.Damage(Search(rugged.toy.input, options, measure)->done.winner);
    plain += rugged.Damage(
        *SolveKnapsack(rugged.toy.input.space, rugged.toy.input.layer_errors));
    optimum += rugged.Damage(rugged.Optimum());
  }
  EXPECT_LT(guided - optimum, (plain - optimum) / 4);
}

// Believes whatever comes to its mind.
class Fantasist : public Surrogate, public Belief {
 public:
  explicit Fantasist(const SearchSpace& space, uint64_t seed = 0)
      : space_(space), seed_(seed) {}
  std::unique_ptr<Belief> Expected() const override {
    return std::make_unique<Fantasist>(space_, seed_ + 1);
  }
  std::unique_ptr<Belief> Draw(Rng& rng) const override {
    return std::make_unique<Fantasist>(space_, rng.Next());
  }
  double Total(const Assignment& assignment) const override {
    uint64_t key = seed_;
    for (uint16_t level : assignment.levels) key = 31 * key + level;
    return Rng(key).Normal();
  }
  Effects Around(const Assignment&) const override {
    Rng rng(seed_, 5);
    Effects effects;
    for (const Unit& unit : space_.units) {
      for (double& effect : effects.emplace_back(unit.menu.size())) {
        effect = rng.Normal();
      }
    }
    return effects;
  }

 private:
  const SearchSpace& space_;
  const uint64_t seed_;
};

TEST(Guided, IsNoWorseThanAnyAnchorWhateverTheSurrogateBelieves) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const Rugged rugged = MakeRugged(10, seed, 0.3);
    const SearchSpace& space = rugged.toy.input.space;
    const Measure measure = rugged.Samples(0.9);
    GuidedOptions options;
    options.anchors = {rugged.Optimum()};
    auto strategy = NewGuided(rugged.toy.input, options, {"guided", "test"},
                              [&](const Lesson&) {
                                return std::make_unique<Fantasist>(space, seed);
                              });
    std::vector<int32_t> decision;
    const auto result = RunToEnd(
        *strategy, *strategy->Start(), History("test"), measure, 1000,
        [&](const Round& round) { decision = round.evaluations[0].samples; });
    ASSERT_TRUE(result.ok()) << result.status();
    const auto mean = [&](const Assignment& assignment) {
      double sum = 0;
      for (int32_t sample : decision) sum += measure(assignment, sample).kl;
      return sum;
    };
    const double found = mean(result->done.winner);
    EXPECT_LE(found, mean(DearestUniform(space)->assignment));
    EXPECT_LE(found,
              mean(*SolveKnapsack(space, rugged.toy.input.layer_errors)));
    EXPECT_LE(found, mean(options.anchors[0]));
  }
}

TEST(Guided, NamesTheAnchorThatWins) {
  const Rugged rugged = MakeRugged(10, 3, 0.3);
  ASSERT_NE(rugged.Optimum(), *SolveKnapsack(rugged.toy.input.space,
                                             rugged.toy.input.layer_errors));
  GuidedOptions options;
  options.races = 1;
  options.anchors = {DearestUniform(rugged.toy.input.space)->assignment,
                     rugged.Optimum()};
  auto strategy = *MakeStrategy(rugged.toy.input, options);
  const auto end = RunToEnd(*strategy, *strategy->Start(), History("test"),
                            rugged.Samples(0), 1000);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->done.winner, rugged.Optimum());
  EXPECT_EQ(strategy->incumbent()->anchor, "anchor 2");
}

TEST(Guided, RefusesAnchorsOutsideTheBudgetAndTheSpace) {
  const Rugged rugged = MakeRugged(4, 1);
  GuidedOptions options;
  options.anchors = {Dearest(rugged.toy.input.space)};
  const auto dear = MakeStrategy(rugged.toy.input, options).status();
  EXPECT_NE(dear.message().find("anchors[0] costs 2024 code_bits"),
            std::string::npos)
      << dear;
  options.anchors = {Assignment{{0, 0}}};
  EXPECT_TRUE(absl::IsInvalidArgument(
      MakeStrategy(rugged.toy.input, options).status()));
}

TEST(Guided, AsksNothingTwiceAndKeepsTheDecisionApart) {
  const Rugged rugged = MakeRugged(16, 3, 0.1);
  std::set<std::pair<Assignment, int32_t>> asked;
  std::set<int32_t> used;
  bool decided = false;
  const auto result = Search(
      rugged.toy.input, GuidedOptions{}, rugged.Samples(0.3),
      [&](const Round& round) {
        decided = round.purpose == "decision on untouched samples";
        for (const Evaluation& evaluation : round.evaluations) {
          for (int32_t sample : evaluation.samples) {
            EXPECT_TRUE(asked.emplace(evaluation.assignment, sample).second);
            if (decided) {
              EXPECT_EQ(used.count(sample), 0u);
            } else {
              used.insert(sample);
            }
          }
        }
      });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(decided);
}

TEST(Guided, ReturnsAnAnchorWhenNothingBetterExists) {
  // Damage is exactly what plain errors say: dp is optimal, and every sample
  // agrees, so nothing can be better than it.
  for (uint64_t seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE(seed);
    Toy toy =
        MakeToy(std::vector<int64_t>(12, 64), {2, 3, 4}, 12 * 64 * 3, seed);
    toy.input.num_samples = 32;
    const auto found = Search(toy.input, GuidedOptions{}, ExactMeasure(toy));
    ASSERT_TRUE(found.ok()) << found.status();
    const auto optimum = SolveKnapsack(toy.input.space, toy.input.layer_errors);
    EXPECT_DOUBLE_EQ(Damage(toy, found->done.winner), Damage(toy, *optimum));
  }
}

TEST(Guided, StopsRacingWhereTheTokensWouldRunOut) {
  const Rugged rugged = MakeRugged(16, 1, 0.1);
  GuidedOptions options;
  int64_t before = 0;
  for (int64_t bound : {80, 160, 240}) {
    options.max_samples = bound;
    const auto found = Search(rugged.toy.input, options, rugged.Samples(0.3));
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_LE(found->measurements, bound);
    EXPECT_GE(found->measurements, before);
    before = found->measurements;
  }
  options.max_samples = 20;
  const auto refused = MakeStrategy(rugged.toy.input, options);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("max_samples=20"),
            std::string::npos);
}

TEST(TrustRegion, ReachSetsHowFarTheSolutionStrays) {
  const Rugged rugged = MakeRugged(40, 5);
  const SearchSpace& space = rugged.toy.input.space;
  Effects effects = rugged.toy.input.layer_errors;
  for (size_t u = 0; u < effects.size(); ++u) {
    for (double& effect : effects[u]) effect *= rugged.sensitivity[u];
  }
  const Assignment center = DearestUniform(space)->assignment;
  const auto value = [&](const Assignment& assignment) {
    double sum = 0;
    for (size_t u = 0; u < effects.size(); ++u) {
      sum += effects[u][assignment.levels[u]];
    }
    return sum;
  };
  const auto optimum = SolveWithinReach(space, effects, center, 1);
  ASSERT_TRUE(optimum.ok());
  const int most = Changes(space, center, *optimum);
  double before = value(center);
  for (double reach : {0.0, 0.25, 0.5, 1.0}) {
    const auto found = SolveWithinReach(space, effects, center, reach);
    ASSERT_TRUE(found.ok());
    EXPECT_TRUE(WithinBudgets(space, *found));
    EXPECT_LE(Changes(space, center, *found), static_cast<int>(reach * most));
    EXPECT_LE(value(*found), before);
    before = value(*found);
  }
  EXPECT_GT(most, 10);
}

}  // namespace
}  // namespace evopress::search
