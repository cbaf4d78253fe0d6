#include "search/knapsack.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "search/cost_grid.h"
#include "search/group_shares.h"

namespace evopress::search {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

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
class Programme {
 public:
  Programme(const Options& options,
            const std::vector<std::vector<double>>& penalties,
            const CostGrid& grid)
      : options_(options),
        penalties_(penalties),
        grid_(grid),
        units_(options.size()),
        width_(static_cast<size_t>(grid.capacity) + 1),
        best_(width_, 0.0),
        next_(width_),
        choice_(units_ * width_) {}

  Assignment Solve() {
    for (size_t place = 0; place < units_;) {
      if (grid_.end[place] == place + 1) {
        Choose(grid_.order[place++]);
        continue;
      }
      // A module: its members as if it were kept, or nothing.
      const size_t module = grid_.order[place];
      const size_t end = grid_.end[place];
      const std::vector<double> dropped = Drop(module);
      Keep(module);
      while (++place < end) Choose(grid_.order[place]);
      for (size_t c = 0; c < width_; ++c) {
        choice_[module * width_ + c] =
            dropped[c] <= best_[c] ? kDropped : kKept;
        best_[c] = std::min(best_[c], dropped[c]);
      }
    }
    return Trace();
  }

 private:
  // best_[c]: least penalty of the units so far with steps of c at most.
  void Choose(size_t u) {
    for (size_t c = 0; c < width_; ++c) {
      double least = kInfinity;
      uint16_t option = 0;
      for (size_t i = 0; i < options_[u].size(); ++i) {
        const size_t step = static_cast<size_t>(grid_.steps[u][i]);
        if (step > c) continue;
        const double penalty = best_[c - step] + penalties_[u][options_[u][i]];
        if (penalty < least) {
          least = penalty;
          option = static_cast<uint16_t>(i);
        }
      }
      next_[c] = least;
      choice_[u * width_ + c] = option;
    }
    std::swap(best_, next_);
  }

  std::vector<double> Drop(size_t module) const {
    std::vector<double> row(width_, kInfinity);
    if (options_[module].front() != kDropped) return row;
    for (size_t c = 0; c < width_; ++c) {
      row[c] = best_[c] + penalties_[module][kDropped];
    }
    return row;
  }

  void Keep(size_t module) {
    const bool possible = options_[module].back() == kKept;
    const size_t step = static_cast<size_t>(grid_.steps[module].back());
    for (size_t c = 0; c < width_; ++c) {
      next_[c] = possible && step <= c
                     ? best_[c - step] + penalties_[module][kKept]
                     : kInfinity;
    }
    std::swap(best_, next_);
  }

  Assignment Trace() const {
    Assignment solution;
    solution.levels.resize(units_);
    std::vector<size_t> module_of_end(units_ + 1, units_);  // by place
    for (size_t place = 0; place < units_; ++place) {
      if (grid_.end[place] > place + 1) module_of_end[grid_.end[place]] = place;
    }
    size_t left = width_ - 1;
    for (size_t place = units_; place > 0;) {
      const size_t open = module_of_end[place];
      if (open < units_ &&
          choice_[grid_.order[open] * width_ + left] == kDropped) {
        place = open;  // its members stay at level 0
        continue;
      }
      const size_t u = grid_.order[--place];
      const bool kept_module = grid_.end[place] > place + 1;
      const size_t option =
          kept_module ? options_[u].size() - 1 : choice_[u * width_ + left];
      solution.levels[u] = options_[u][option];
      left -= static_cast<size_t>(grid_.steps[u][option]);
    }
    return solution;
  }

  const Options& options_;
  const std::vector<std::vector<double>>& penalties_;
  const CostGrid& grid_;
  const size_t units_;
  const size_t width_;
  std::vector<double> best_, next_;
  // Of every unit and amount; of modules kDropped or kKept by the amount that
  // they and their members may spend together.
  std::vector<uint16_t> choice_;
};

absl::StatusOr<Assignment> Solve(
    const SearchSpace& space, const Options& options, int64_t limit,
    const std::vector<std::vector<double>>& penalties, int64_t max_cells) {
  const int64_t cells_per_column =
      static_cast<int64_t>(space.units.size()) + kRowCells;
  const absl::StatusOr<CostGrid> grid =
      MakeCostGrid(space, options, limit, max_cells / cells_per_column);
  if (!grid.ok()) return grid.status();
  return Programme(options, penalties, *grid).Solve();
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
