#include "search/recombination.h"

#include <gtest/gtest.h>

#include <map>

#include "search/start_point.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

std::map<std::string, int64_t> Spent(const SearchSpace& space,
                                     const Assignment& assignment) {
  std::map<std::string, int64_t> spent;
  for (size_t u = 0; u < space.units.size(); ++u) {
    spent[space.units[u].group] +=
        space.units[u].menu[assignment.levels[u]].costs[0];
  }
  return spent;
}

// 2.7 bits: neither group can spend its share exactly.
SearchSpace Space() {
  return MakeToy({64, 64, 64, 64, 32, 32, 32, 32}, {2, 3, 4}, 384 * 27 / 10, 1)
      .input.space;
}

std::vector<Assignment> Parents(const SearchSpace& space) {
  auto parents = StartCandidates(space, 8, 1);
  EXPECT_TRUE(parents.ok()) << parents.status();
  return *std::move(parents);
}

TEST(Crossover, TakesEveryGeneFromAParentAndKeepsTheCostOfGroups) {
  const SearchSpace space = Space();
  const std::vector<Assignment> parents = Parents(space);
  int mixed = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    const Assignment& a = parents[rng.Below(parents.size())];
    const Assignment& b = parents[rng.Below(parents.size())];
    const auto child = Crossover(space, a, b, rng);
    ASSERT_TRUE(child.ok()) << child.status();
    EXPECT_EQ(Spent(space, *child), Spent(space, a));
    for (size_t u = 0; u < space.units.size(); ++u) {
      EXPECT_TRUE(child->levels[u] == a.levels[u] ||
                  child->levels[u] == b.levels[u]);
    }
    mixed += *child != a && *child != b;
  }
  EXPECT_GE(mixed, 50);
}

TEST(Crossover, IsUniformOverWhatTheBudgetAllows) {
  const SearchSpace space =
      MakeToy({64, 64, 64, 64}, {2, 3}, 4 * 64 * 5 / 2, 1).input.space;
  std::map<Assignment, int> drawn;
  constexpr int kDraws = 6000;
  Rng rng(1);
  for (int i = 0; i < kDraws; ++i) {
    const auto child = Crossover(space, Assignment{{0, 0, 1, 1}},
                                 Assignment{{1, 1, 0, 0}}, rng);
    ASSERT_TRUE(child.ok()) << child.status();
    ++drawn[*child];
  }
  EXPECT_EQ(drawn.size(), 6u);  // of four genes, two are raised
  for (const auto& [child, count] : drawn) EXPECT_NEAR(count, 1000, 120);
}

TEST(Mutate, ChangesGenesAtTheRateAndKeepsTheCostOfGroups) {
  const SearchSpace space = Space();
  const std::vector<Assignment> parents = Parents(space);
  int changed[3] = {0, 0, 0};
  const double rates[3] = {1e-9, 0.3, 1};
  for (int r = 0; r < 3; ++r) {
    for (uint64_t seed = 0; seed < 200; ++seed) {
      Rng rng(seed);
      const Assignment& parent = parents[rng.Below(parents.size())];
      const auto child = Mutate(space, parent, rates[r], rng);
      ASSERT_TRUE(child.ok()) << child.status();
      EXPECT_EQ(Spent(space, *child), Spent(space, parent));
      for (size_t u = 0; u < space.units.size(); ++u) {
        changed[r] += child->levels[u] != parent.levels[u];
      }
    }
  }
  EXPECT_EQ(changed[0], 0);
  EXPECT_GT(changed[1], 50);
  EXPECT_GT(changed[2], 3 * changed[1]);
}

TEST(Recombination, WhatLiesInADroppedModuleIsNobodysGene) {
  const SearchSpace space =
      MakeModularToy(2, {2, 3, 4}, 2 * 72 * 2, 1).input.space;
  const std::vector<Assignment> parents = Parents(space);
  int restored = 0, dropped = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const Assignment& a = parents[rng.Below(parents.size())];
    const Assignment& b = parents[rng.Below(parents.size())];
    const auto crossed = Crossover(space, a, b, rng);
    ASSERT_TRUE(crossed.ok()) << crossed.status();
    const auto mutant = Mutate(space, a, 0.3, rng);
    ASSERT_TRUE(mutant.ok()) << mutant.status();
    for (const Assignment& child : {*crossed, *mutant}) {
      EXPECT_EQ(child, Canonical(space, child));
      EXPECT_EQ(Cost(space, child, 0), Cost(space, a, 0));
    }
    for (size_t u = 0; u < space.units.size(); ++u) {
      if (!IsActive(space, *crossed, u)) continue;
      const bool from_a =
          IsActive(space, a, u) && crossed->levels[u] == a.levels[u];
      const bool from_b =
          IsActive(space, b, u) && crossed->levels[u] == b.levels[u];
      EXPECT_TRUE(from_a || from_b) << u;
    }
    for (size_t u = 0; u < space.units.size(); ++u) {
      restored += IsActive(space, *mutant, u) && !IsActive(space, a, u);
      dropped += !IsActive(space, *mutant, u) && IsActive(space, a, u);
    }
  }
  EXPECT_GT(restored, 0);
  EXPECT_GT(dropped, 0);
}

}  // namespace
}  // namespace evopress::search
