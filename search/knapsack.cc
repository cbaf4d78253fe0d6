#include "search/knapsack.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "search/cost_grid.h"
#include "search/group_shares.h"

namespace evopress::search {
namespace {

// The two rows of doubles, in cells of the choice table.
constexpr int64_t kRowCells = 2 * sizeof(double) / sizeof(uint16_t);

absl::Status CheckOtherBudgets(const SearchSpace& space,
                               const Assignment& assignment) {
  for (size_t b = 1; b < space.budgets.size(); ++b) {
    const Budget& budget = space.budgets[b];
    const int64_t cost = Cost(space, assignment, budget.kind);
    if (cost > budget.limit) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the dynamic programme knows one budget only; its optimum costs ",
          cost, " ", space.cost_kinds[budget.kind], ", over the limit of ",
          budget.limit));
    }
  }
  return absl::OkStatus();
}

// The least penalty within one limit of the steering kind.
absl::StatusOr<Assignment> Solve(
    const SearchSpace& space, const Options& options, int64_t limit,
    const std::vector<std::vector<double>>& penalties, int64_t max_cells) {
  const int64_t cells_per_column =
      static_cast<int64_t>(space.units.size()) + kRowCells;
  const absl::StatusOr<CostGrid> grid =
      MakeCostGrid(space, options, limit, max_cells / cells_per_column);
  if (!grid.ok()) return grid.status();

  // best[c]: least penalty of the units so far with steps of c at most.
  const size_t width = static_cast<size_t>(grid->capacity) + 1;
  const size_t units = space.units.size();
  std::vector<double> best(width, 0.0), next(width);
  std::vector<uint16_t> choice(units * width);
  for (size_t u = 0; u < units; ++u) {
    for (size_t c = 0; c < width; ++c) {
      double least = std::numeric_limits<double>::infinity();
      uint16_t option = 0;
      for (size_t i = 0; i < options[u].size(); ++i) {
        const size_t step = static_cast<size_t>(grid->steps[u][i]);
        if (step > c) continue;
        const double penalty = best[c - step] + penalties[u][options[u][i]];
        if (penalty < least) {
          least = penalty;
          option = static_cast<uint16_t>(i);
        }
      }
      next[c] = least;
      choice[u * width + c] = option;
    }
    std::swap(best, next);
  }

  Assignment solution;
  solution.levels.resize(units);
  size_t left = width - 1;
  for (size_t u = units; u-- > 0;) {
    const uint16_t option = choice[u * width + left];
    solution.levels[u] = options[u][option];
    left -= static_cast<size_t>(grid->steps[u][option]);
  }
  return solution;
}

}  // namespace

absl::StatusOr<Assignment> SolveKnapsack(
    const SearchSpace& space, const std::vector<std::vector<double>>& penalties,
    int64_t max_cells) {
  const Options options = AllOptions(space);
  Assignment solution;
  solution.levels.resize(space.units.size());
  const std::vector<GroupShare> shares = GroupShares(space);
  for (const GroupShare& share : shares) {
    const ShareProblem problem = Isolate(space, options, share);
    const absl::StatusOr<Assignment> part =
        Solve(space, problem.options, problem.limit, penalties, max_cells);
    if (!part.ok()) return part.status();
    for (size_t u : share.units) solution.levels[u] = part->levels[u];
  }
  if (shares.size() > 1) {  // what rounding down the shares has left over
    Options rest;
    for (size_t u = 0; u < options.size(); ++u) {
      rest.emplace_back(options[u].begin() + solution.levels[u],
                        options[u].end());
    }
    absl::StatusOr<Assignment> filled =
        Solve(space, rest, space.budgets[0].limit, penalties, max_cells);
    if (!filled.ok()) return filled.status();
    solution = *std::move(filled);
  }
  const absl::Status others = CheckOtherBudgets(space, solution);
  if (!others.ok()) return others;
  return solution;
}

}  // namespace evopress::search
