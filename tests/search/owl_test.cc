#include "search/owl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

constexpr int64_t kStep = 10;  // weights

// Blocks of two layers, of 400 and of 200 weights, with levels of 20 % to 80 %
// zeros in equal steps; half of all weights may stay. Each layer size is a
// group.
StrategyInput MakeInput(const std::vector<double>& outliers_of_block) {
  StrategyInput input;
  input.space.cost_kinds = {kNonzerosKind};
  input.space.constant_costs = {0};
  int64_t weights = 0;
  for (size_t b = 0; b < outliers_of_block.size(); ++b) {
    for (const int64_t size : {400, 200}) {
      Unit unit;
      unit.name = absl::StrCat("layers.", b, ".", size);
      unit.layers = {unit.name};
      unit.weights = size;
      for (int64_t kept = size / 5; kept <= size * 4 / 5; kept += kStep) {
        unit.menu.push_back({absl::StrCat("wanda:z", size - kept), {kept}});
      }
      weights += size;
      input.space.units.push_back(std::move(unit));
      input.scores.push_back({outliers_of_block[b]});
    }
  }
  input.space.budgets = {{0, weights / 2}};
  return input;
}

absl::StatusOr<Assignment> Solve(const StrategyInput& input, double lambda) {
  auto strategy = MakeStrategy(input, OwlOptions{lambda});
  if (!strategy.ok()) return strategy.status();
  auto step = (*strategy)->Start();
  if (!step.ok()) return step.status();
  return std::get<Done>(*step).winner;
}

double Density(const StrategyInput& input, const Assignment& assignment,
               size_t unit) {
  const Unit& u = input.space.units[unit];
  return static_cast<double>(u.menu[assignment.levels[unit]].costs[0]) /
         static_cast<double>(u.weights);
}

TEST(Owl, SharesRiseLinearlyWithOutliersAroundTheExactMean) {
  // Mean 2 of 1 … 4: by hand, 2 * 0.09 * (D - 1) / 3 less their mean of 0.06.
  const StrategyInput input = MakeInput({1, 4, 1, 2});
  const std::vector<double> densities =
      OwlDensities(input.space, {1, 1, 4, 4, 1, 1, 2, 2}, 0.09);
  const double want[] = {0.44, 0.62, 0.44, 0.5};
  for (size_t u = 0; u < densities.size(); ++u) {
    EXPECT_NEAR(densities[u], want[u / 2], 1e-12) << u;
  }
}

TEST(Owl, SpendsTheBudgetExactlyNearTheShares) {
  Rng rng(5, 0);
  for (int trial = 0; trial < 50; ++trial) {
    SCOPED_TRACE(trial);
    std::vector<double> outliers;
    for (int b = 0; b < 8; ++b) outliers.push_back(rng.Uniform());
    const StrategyInput input = MakeInput(outliers);
    const auto found = Solve(input, 0.08);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(Cost(input.space, *found, 0), input.space.budgets[0].limit);
    std::vector<double> of_unit;
    for (const auto& score : input.scores) of_unit.push_back(score[0]);
    const auto want = OwlDensities(input.space, of_unit, 0.08);
    for (size_t u = 0; u < want.size(); ++u) {
      const double step =
          double{kStep} / static_cast<double>(input.space.units[u].weights);
      EXPECT_LT(std::abs(Density(input, *found, u) - want[u]), step) << u;
    }
  }
}

TEST(Owl, EqualOutliersAreUniform) {
  const StrategyInput input = MakeInput({3, 3, 3});
  const auto found = Solve(input, 0.08);
  ASSERT_TRUE(found.ok()) << found.status();
  for (size_t u = 0; u < input.space.units.size(); ++u) {
    EXPECT_EQ(Density(input, *found, u), 0.5);
  }
}

TEST(Owl, RefusesSpacesThatAreNotOfSparsity) {
  const StrategyInput good = MakeInput({1, 2});
  EXPECT_TRUE(MakeStrategy(good, OwlOptions{}).ok());
  for (const double lambda : {0.0, -1.0, 0.51, std::nan("")}) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        MakeStrategy(good, OwlOptions{lambda}).status()));
  }
  StrategyInput bits = good;
  bits.space.cost_kinds = {"code_bits"};
  const auto refused = MakeStrategy(bits, OwlOptions{}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(std::string(refused.message()),
              testing::HasSubstr("--target-sparsity"));
  StrategyInput one = good;
  for (Unit& unit : one.space.units) unit.menu.resize(1);
  EXPECT_THAT(MakeStrategy(one, OwlOptions{}).status().ToString(),
              testing::HasSubstr("different sparsity"));
  Toy modular = MakeModularToy(2, {2, 4}, 2 * 72 * 3, 1);
  modular.input.scores = EmptyScores(modular.input.space, OwlOptions{});
  EXPECT_TRUE(absl::IsFailedPrecondition(
      MakeStrategy(modular.input, OwlOptions{}).status()));
}

TEST(Owl, NeedsScoresAndChecksThem) {
  const StrategyInput good = MakeInput({1, 2});
  StrategyInput without = good;
  without.scores.clear();
  EXPECT_TRUE(
      absl::IsFailedPrecondition(MakeStrategy(without, OwlOptions{}).status()));
  StrategyInput few = good;
  few.scores.pop_back();
  StrategyInput infinite = good;
  infinite.scores[1] = {INFINITY};
  StrategyInput empty = good;
  empty.scores[1] = {};
  for (const StrategyInput& bad : {few, infinite, empty}) {
    EXPECT_TRUE(
        absl::IsInvalidArgument(MakeStrategy(bad, OwlOptions{}).status()));
  }
}

}  // namespace
}  // namespace evopress::search
