#include "search/budget_projection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "search/rng.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

Probabilities RandomPoint(const SearchSpace& space, Rng& rng) {
  Probabilities point;
  for (const Unit& unit : space.units) {
    for (double& p : point.emplace_back(unit.menu.size())) {
      p = 2 * rng.Uniform() - 0.5;
    }
  }
  return point;
}

double ExpectedCost(const SearchSpace& space, const GroupShare& share,
                    const Probabilities& p) {
  double cost = 0;
  for (size_t u : share.units) {
    for (size_t l = 0; l < p[u].size(); ++l) {
      cost += p[u][l] * static_cast<double>(space.units[u].menu[l].costs[0]);
    }
  }
  return cost;
}

// (a - b) . (c - b)
double Product(const Probabilities& a, const Probabilities& b,
               const Probabilities& c) {
  double sum = 0;
  for (size_t u = 0; u < a.size(); ++u) {
    for (size_t l = 0; l < a[u].size(); ++l) {
      sum += (a[u][l] - b[u][l]) * (c[u][l] - b[u][l]);
    }
  }
  return sum;
}

TEST(ProjectOntoShares, MeetsSimplexFloorAndShares) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const SearchSpace space = MakeToy({64, 32, 64, 32, 64}, {2, 3, 4, 6},
                                      rng.Between(530, 1500), seed)
                                  .input.space;
    const auto shares = GroupShares(space);
    const Probabilities p =
        ProjectOntoShares(space, shares, RandomPoint(space, rng));
    for (const std::vector<double>& levels : p) {
      double sum = 0;
      for (double value : levels) {
        EXPECT_GE(value, kLeastShare / 4);
        sum += value;
      }
      EXPECT_NEAR(sum, 1, 1e-12);
    }
    for (const GroupShare& share : shares) {
      EXPECT_NEAR(ExpectedCost(space, share, p),
                  static_cast<double>(share.limit), 1e-9);
    }
  }
}

// What makes a point of a convex set the nearest one: no other lies on the
// outer side.
TEST(ProjectOntoShares, IsTheNearestOfAll) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const SearchSpace space =
        MakeToy({64, 32, 64, 7}, {2, 3, 4, 6}, rng.Between(400, 900), seed)
            .input.space;
    const auto shares = GroupShares(space);
    const Probabilities point = RandomPoint(space, rng);
    const Probabilities nearest = ProjectOntoShares(space, shares, point);
    for (int i = 0; i < 200; ++i) {
      const Probabilities other =
          ProjectOntoShares(space, shares, RandomPoint(space, rng));
      EXPECT_LE(Product(point, nearest, other), 1e-9);
    }
  }
}

TEST(ProjectOntoShares, EqualsBruteForceOverALine) {
  // Two units of two levels: all that meets the budget is a line.
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const Toy toy = Ungrouped(MakeToy({3, 2}, {2, 4}, 14, seed));
    Rng rng(seed);
    const Probabilities point = RandomPoint(toy.input.space, rng);
    Probabilities best;
    double least = 1e9;
    const double floor = kLeastShare / 2;
    for (double s = floor; s <= 1 - floor; s += 1e-5) {
      const double t = (14 - 10 - 6 * s) / 4;  // of the second unit
      if (t < floor || t > 1 - floor) continue;
      const Probabilities p = {{1 - s, s}, {1 - t, t}};
      const double distance = Product(point, p, point);
      if (distance >= least) continue;
      least = distance;
      best = p;
    }
    const Probabilities found =
        ProjectOntoShares(toy.input.space, GroupShares(toy.input.space), point);
    for (size_t u = 0; u < 2; ++u) {
      EXPECT_NEAR(found[u][1], best[u][1], 2e-5);
    }
  }
}

TEST(ProjectOntoShares, KeepsWhatMeetsTheBudgetAlready) {
  const Toy toy = MakeToy({64, 64}, {2, 3, 4}, 128 * 3, 1);
  const Probabilities p = {{0.25, 0.5, 0.25}, {0.1, 0.8, 0.1}};
  const Probabilities found =
      ProjectOntoShares(toy.input.space, GroupShares(toy.input.space), p);
  EXPECT_NEAR(Product(found, p, found), 0, 1e-24);
}

TEST(ProjectOntoShares, GoesToTheEndOfWhatCanBeSpent) {
  for (const auto& [limit, level] :
       {std::pair<int64_t, size_t>{128 * 2, 0}, {128 * 9, 2}}) {
    const Toy toy = MakeToy({64, 64}, {2, 3, 4}, limit, 1);
    const Probabilities found =
        ProjectOntoShares(toy.input.space, GroupShares(toy.input.space),
                          {{0.2, 0.6, 0.2}, {0.3, 0.4, 0.3}});
    for (const std::vector<double>& p : found) {
      EXPECT_NEAR(p[level], 1 - kLeastShare * 2 / 3, 1e-6);
    }
  }
}

}  // namespace
}  // namespace evopress::search
