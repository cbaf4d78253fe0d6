#include "search/group_shares.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "search/knapsack.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

std::vector<int64_t> Limits(const SearchSpace& space) {
  std::vector<int64_t> limits;
  for (const GroupShare& share : GroupShares(space)) {
    limits.push_back(share.limit);
  }
  return limits;
}

TEST(GroupShares, GoTheSamePartOfTheWayBetweenUniformLevels) {
  // Groups "32" and "64", two units each; the budget is that of 3 bits.
  EXPECT_EQ(
      Limits(MakeToy({64, 32, 64, 32}, {2, 3, 4}, 192 * 3, 1).input.space),
      (std::vector<int64_t>{64 * 3, 128 * 3}));
  EXPECT_EQ(
      Limits(MakeToy({64, 32, 64, 32}, {2, 3, 4}, 192 * 5 / 2, 1).input.space),
      (std::vector<int64_t>{64 * 5 / 2, 128 * 5 / 2}));
  // 2 + 1/192 bits: rounded down, so that no group is above its part.
  EXPECT_EQ(
      Limits(MakeToy({64, 32, 64, 32}, {2, 3, 4}, 192 * 2 + 1, 1).input.space),
      (std::vector<int64_t>{64 * 2, 128 * 2}));
}

TEST(GroupShares, AreOneWhereGroupsDoNotMatter) {
  const Toy toy = MakeToy({64, 32}, {2, 3, 4}, 96 * 3, 1);
  EXPECT_EQ(Limits(Ungrouped(toy).input.space), std::vector<int64_t>{96 * 3});
  // Above the dearest uniform level nothing has to be shared.
  const Toy rich = MakeToy({64, 32}, {2, 3, 4}, 96 * 5, 1);
  EXPECT_EQ(Limits(rich.input.space), std::vector<int64_t>{96 * 5});
}

TEST(GroupShares, HoldEveryUnitOnce) {
  const Toy toy = MakeToy({64, 32, 64, 16}, {2, 3}, 176 * 5 / 2, 1);
  std::vector<size_t> units;
  for (const GroupShare& share : GroupShares(toy.input.space)) {
    units.insert(units.end(), share.units.begin(), share.units.end());
  }
  std::sort(units.begin(), units.end());
  EXPECT_EQ(units, (std::vector<size_t>{0, 1, 2, 3}));
}

// The best of the assignments whose groups keep to their shares.
double BruteForceWithinShares(const Toy& toy) {
  const SearchSpace& space = toy.input.space;
  const std::vector<GroupShare> shares = GroupShares(space);
  double best = std::numeric_limits<double>::infinity();
  ForEachAssignment(space, [&](const Assignment& assignment) {
    for (const GroupShare& share : shares) {
      int64_t spent = 0;
      for (size_t u : share.units) {
        spent += space.units[u].menu[assignment.levels[u]].costs[0];
      }
      if (spent > share.limit) return;
    }
    best = std::min(best, Damage(toy, assignment));
  });
  return best;
}

TEST(SolveKnapsack, IsTheOptimumWithinTheShares) {
  int better_without = 0;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(seed);
    const Toy toy =
        MakeToy({64, 64, 32, 32, 16, 16}, {2, 3, 4}, 224 * 5 / 2, seed);
    const auto found = SolveKnapsack(toy.input.space, toy.input.layer_errors);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_NEAR(Damage(toy, *found), BruteForceWithinShares(toy), 1e-12);
    const auto free =
        SolveKnapsack(Ungrouped(toy).input.space, toy.input.layer_errors);
    better_without += Damage(toy, *free) < Damage(toy, *found) - 1e-12;
  }
  EXPECT_GE(better_without, 15);
}

TEST(SolveKnapsack, SpendsWhatRoundingTheSharesLeaves) {
  // Half a step of each group is left over: together they raise one unit.
  const Toy toy = MakeToy({64, 32, 32}, {2, 3}, 128 * 5 / 2, 1);
  const auto found = SolveKnapsack(toy.input.space, toy.input.layer_errors);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(Cost(toy.input.space, *found, 0), toy.input.space.budgets[0].limit);
}

}  // namespace
}  // namespace evopress::search
