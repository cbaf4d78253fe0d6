#include "search/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "search/groupwise_sampler.h"
#include "search/knapsack.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

Toy SmallToy(uint64_t seed) {
  return MakeToy({64, 32, 64, 32, 32}, {2, 3, 4}, 224 * 3, seed);
}

Probabilities RandomPolicy(const SearchSpace& space, uint64_t seed) {
  Rng rng(seed, 6);
  Probabilities p;
  for (const Unit& unit : space.units) {
    double sum = 0;
    for (double& value : p.emplace_back(unit.menu.size())) {
      value = 0.05 + rng.Uniform();
      sum += value;
    }
    for (double& value : p.back()) value /= sum;
  }
  return p;
}

// With pairs of units that matter together.
double Quadratic(const Assignment& assignment) {
  double loss = 0;
  for (size_t u = 0; u < assignment.levels.size(); ++u) {
    for (size_t v = 0; v < assignment.levels.size(); ++v) {
      loss += (1.0 + static_cast<double>((3 * u + 5 * v) % 7)) *
              (assignment.levels[u] - 0.7) * (assignment.levels[v] - 1.1);
    }
  }
  return loss;
}

// Every assignment that a policy can draw, with its probability.
std::vector<std::pair<Assignment, double>> Outcomes(const SearchSpace& space,
                                                    const Probabilities& p) {
  const auto shares = GroupShares(space);
  std::vector<std::pair<Assignment, double>> outcomes;
  double total = 0;
  ForEachAssignment(space, [&](const Assignment& assignment) {
    for (const GroupShare& share : shares) {
      int64_t spent = 0;
      for (size_t u : share.units) {
        spent += space.units[u].menu[assignment.levels[u]].costs[0];
      }
      if (spent != share.limit) return;
    }
    double probability = 1;
    for (size_t u = 0; u < p.size(); ++u) {
      probability *= p[u][assignment.levels[u]];
    }
    total += probability;
    outcomes.emplace_back(assignment, probability);
  });
  for (auto& [assignment, probability] : outcomes) probability /= total;
  return outcomes;
}

double ExpectedLoss(const SearchSpace& space, const Probabilities& p) {
  double expected = 0;
  for (const auto& [assignment, probability] : Outcomes(space, p)) {
    expected += probability * Quadratic(assignment);
  }
  return expected;
}

TEST(EstimateGradient, IsInTheMeanTheGradientOfTheExpectedLoss) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const SearchSpace space = SmallToy(seed).input.space;
    const Probabilities p = RandomPolicy(space, seed);
    const auto sampler = GroupwiseSampler::Make(space, AllOptions(space), p);
    ASSERT_TRUE(sampler.ok()) << sampler.status();
    const Probabilities marginals = sampler->Marginals();
    const auto outcomes = Outcomes(space, p);
    for (bool history : {false, true}) {
      // All pairs of draws, each as often as the policy draws it.
      Probabilities mean = marginals;
      for (auto& levels : mean) std::fill(levels.begin(), levels.end(), 0.0);
      for (const auto& [a, pa] : outcomes) {
        for (const auto& [b, pb] : outcomes) {
          std::deque<std::vector<double>> losses;
          if (history) losses = {{1, 2, 5}, {0, 3}};
          losses.push_back({Quadratic(a), Quadratic(b)});
          const Probabilities estimate =
              EstimateGradient({a, b}, Advantages(losses), marginals);
          for (size_t u = 0; u < mean.size(); ++u) {
            for (size_t l = 0; l < mean[u].size(); ++l) {
              mean[u][l] += pa * pb * estimate[u][l];
            }
          }
        }
      }
      for (size_t u = 0; u < p.size(); ++u) {
        for (size_t l = 0; l < p[u].size(); ++l) {
          constexpr double kStep = 1e-4;
          Probabilities more = p, less = p;
          more[u][l] *= 1 + kStep;
          less[u][l] *= 1 - kStep;
          const double difference =
              (ExpectedLoss(space, more) - ExpectedLoss(space, less)) /
              (2 * kStep);
          EXPECT_NEAR(mean[u][l], difference, 1e-5) << u << " " << l;
        }
      }
    }
  }
}

TEST(EstimateGradient, IsAboutThatForDrawsOfTheSampler) {
  const SearchSpace space = SmallToy(1).input.space;
  const Probabilities p = RandomPolicy(space, 1);
  const auto sampler = GroupwiseSampler::Make(space, AllOptions(space), p);
  ASSERT_TRUE(sampler.ok()) << sampler.status();
  Rng rng(5);
  std::vector<Assignment> draws;
  std::vector<double> losses;
  for (int k = 0; k < 200000; ++k) {
    draws.push_back(sampler->DrawShares(rng));
    losses.push_back(Quadratic(draws.back()));
  }
  const Probabilities estimate =
      EstimateGradient(draws, Advantages({losses}), sampler->Marginals());
  const double spread = *std::max_element(losses.begin(), losses.end()) -
                        *std::min_element(losses.begin(), losses.end());
  for (size_t u = 0; u < p.size(); ++u) {
    for (size_t l = 0; l < p[u].size(); ++l) {
      Probabilities more = p;
      more[u][l] *= 1 + 1e-6;
      const double difference =
          (ExpectedLoss(space, more) - ExpectedLoss(space, p)) / 1e-6;
      EXPECT_NEAR(estimate[u][l], difference, 0.005 * spread);
    }
  }
}

TEST(StartPolicy, MeetsTheBudgetOnAverageAndFavoursTheTarget) {
  const SearchSpace space = SmallToy(1).input.space;
  const Probabilities start = StartPolicy(space, GroupShares(space));
  for (const std::vector<double>& p : start) {
    EXPECT_NEAR(p[1], 0.5, 1e-9);
    EXPECT_NEAR(p[0], 0.25, 1e-9);
    EXPECT_NEAR(p[2], 0.25, 1e-9);
  }
}

TEST(RoundPolicy, ReturnsTheOnlyAssignmentOfASurePolicy) {
  const SearchSpace space = SmallToy(1).input.space;
  const Assignment sure{{0, 2, 2, 1, 0}};
  Probabilities p(5, {0, 0, 0});
  for (size_t u = 0; u < 5; ++u) p[u][sure.levels[u]] = 1;
  const auto found = RoundPolicy(space, p);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(*found, sure);
}

TEST(RoundPolicy, KeepsTheGreatestScoresOfTwoLevels) {
  const Toy toy =
      MakeToy(std::vector<int64_t>(6, 64), {2, 3}, 6 * 64 * 2 + 128, 1);
  Probabilities p;
  for (double keep : {0.3, 0.1, 0.4, 0.2, 0.35, 0.05}) {
    p.push_back({1 - keep, keep});
  }
  const auto found = RoundPolicy(toy.input.space, p);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(*found, (Assignment{{0, 0, 1, 0, 1, 0}}));
}

}  // namespace
}  // namespace evopress::search
