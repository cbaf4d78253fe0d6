#include "search/knapsack.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "search/cost_grid.h"
#include "search/group_shares.h"

namespace evopress::search {
namespace {

using Penalties = std::vector<std::vector<double>>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The two rows of doubles, in cells of the choice table.
constexpr int64_t kRowCells = 2 * sizeof(double) / sizeof(uint16_t);
// How often a price is doubled until its budget holds, then halved back, and
// how often all budgets are looked at.
constexpr int kDoublings = 64;
constexpr int kBisections = 16;
constexpr int kSweeps = 8;
// Columns of a grid that is rounded anyway: more would only take longer.
constexpr int64_t kRoundedColumns = int64_t{1} << 14;

struct Solution {
  Assignment assignment;
  bool exact = true;  // no cost was rounded
};

// The least penalty within one limit of the steering kind.
class Programme {
 public:
  Programme(const Options& options, const Penalties& penalties,
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
  const Penalties& penalties_;
  const CostGrid& grid_;
  const size_t units_;
  const size_t width_;
  std::vector<double> best_, next_;
  // Of every unit and amount; of modules kDropped or kKept by the amount that
  // they and their members may spend together.
  std::vector<uint16_t> choice_;
};

absl::StatusOr<Solution> Solve(const SearchSpace& space, const Options& options,
                               int64_t limit, const Penalties& penalties,
                               int64_t max_cells) {
  const int64_t cells_per_column =
      static_cast<int64_t>(space.units.size()) + kRowCells;
  const int64_t max_columns = max_cells / cells_per_column;
  absl::StatusOr<CostGrid> grid =
      MakeCostGrid(space, options, limit, max_columns);
  if (grid.ok() && !grid->exact && max_columns > kRoundedColumns) {
    grid = MakeCostGrid(space, options, limit, kRoundedColumns);
  }
  if (!grid.ok()) return grid.status();
  return Solution{Programme(options, penalties, *grid).Solve(), grid->exact};
}

// Every group within its share of the steering budget, then what is left over.
absl::StatusOr<Solution> SolveShares(const SearchSpace& space,
                                     const Penalties& penalties,
                                     int64_t max_cells) {
  const Options options = AllOptions(space);
  Solution solution;
  std::vector<uint16_t>& levels = solution.assignment.levels;
  levels.resize(space.units.size());
  const std::vector<GroupShare> shares = GroupShares(space);
  for (const GroupShare& share : shares) {
    const ShareProblem problem = Isolate(space, options, share);
    const absl::StatusOr<Solution> part =
        Solve(space, problem.options, problem.limit, penalties, max_cells);
    if (!part.ok()) return part.status();
    solution.exact = solution.exact && part->exact;
    for (size_t u : share.units) levels[u] = part->assignment.levels[u];
  }
  if (shares.size() == 1) return solution;
  Options rest;  // what rounding down the shares has left over
  for (size_t u = 0; u < options.size(); ++u) {
    rest.emplace_back(options[u].begin() + levels[u], options[u].end());
  }
  auto filled =
      Solve(space, rest, space.budgets[0].limit, penalties, max_cells);
  if (!filled.ok()) return filled.status();
  filled->exact = filled->exact && solution.exact;
  return filled;
}

// Prices and rounding leave some of the budgets unspent: single units take it
// up, the greatest gain first. Modules stay as they are.
Assignment FillUp(const SearchSpace& space, const Penalties& penalties,
                  Assignment solution) {
  std::vector<int64_t> left;
  for (const Budget& budget : space.budgets) {
    left.push_back(budget.limit - Cost(space, solution, budget.kind));
  }
  std::vector<size_t> units;  // that may move
  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  for (size_t u = 0; u < penalties.size(); ++u) {
    if (members[u].empty() && IsActive(space, solution, u)) units.push_back(u);
  }
  const auto extra = [&](size_t u, size_t l, size_t b) {
    const int kind = space.budgets[b].kind;
    const auto& menu = space.units[u].menu;
    return menu[l].costs[kind] - menu[solution.levels[u]].costs[kind];
  };
  for (;;) {
    double greatest = 0;
    size_t unit = 0;
    size_t level = 0;
    for (size_t u : units) {
      for (size_t l = 0; l < penalties[u].size(); ++l) {
        const double gain = penalties[u][solution.levels[u]] - penalties[u][l];
        bool fits = gain > greatest;
        for (size_t b = 0; fits && b < left.size(); ++b) {
          fits = extra(u, l, b) <= left[b];
        }
        if (!fits) continue;
        greatest = gain;
        unit = u;
        level = l;
      }
    }
    if (greatest == 0) return solution;
    for (size_t b = 0; b < left.size(); ++b) left[b] -= extra(unit, level, b);
    solution.levels[unit] = static_cast<uint16_t>(level);
  }
}

bool Holds(const SearchSpace& space, const Assignment& assignment,
           const Budget& budget) {
  return Cost(space, assignment, budget.kind) <= budget.limit;
}

// What all penalties together can differ by.
double Range(const Penalties& penalties) {
  double range = 0;
  for (const std::vector<double>& levels : penalties) {
    const auto [least, most] =
        std::minmax_element(levels.begin(), levels.end());
    range += *most - *least;
  }
  return range;
}

// The programme with a price on what every further budget limits.
class PricedKnapsack {
 public:
  PricedKnapsack(const SearchSpace& space, const Penalties& penalties,
                 int64_t max_cells)
      : space_(space),
        penalties_(penalties),
        max_cells_(max_cells),
        prices_(space.budgets.size(), 0.0) {}

  absl::StatusOr<Assignment> Run() {
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      for (size_t b = 1; b < space_.budgets.size(); ++b) {
        auto found = SolveAtPrices();
        if (!found.ok()) return found;
        if (WithinBudgets(space_, *found))
          return FillUp(space_, penalties_, *std::move(found));
        if (Holds(space_, *found, space_.budgets[b])) continue;
        if (absl::Status s = Raise(b); !s.ok()) return s;
      }
    }
    auto found = SolveAtPrices();
    if (!found.ok()) return found;
    if (WithinBudgets(space_, *found))
      return FillUp(space_, penalties_, *std::move(found));
    return absl::FailedPreconditionError(absl::StrCat(
        "found no assignment that meets all ", space_.budgets.size(),
        " budgets at once; raise one of them"));
  }

 private:
  absl::StatusOr<Assignment> SolveAtPrices() const {
    Penalties priced = penalties_;
    for (size_t u = 0; u < priced.size(); ++u) {
      for (size_t l = 0; l < priced[u].size(); ++l) {
        for (size_t b = 1; b < prices_.size(); ++b) {
          const int kind = space_.budgets[b].kind;
          priced[u][l] += prices_[b] * static_cast<double>(
                                           space_.units[u].menu[l].costs[kind]);
        }
      }
    }
    auto found = SolveShares(space_, priced, max_cells_);
    if (!found.ok()) return found.status();
    return std::move(found->assignment);
  }

  // Brings the price of one budget to about the least at which it holds.
  absl::Status Raise(size_t budget) {
    const CostRange costs = ReachableCosts(space_, space_.budgets[budget].kind);
    const double range = Range(penalties_);
    double low = prices_[budget];
    double high = std::max(2 * low, (range > 0 ? range : 1.0) /
                                        static_cast<double>(std::max<int64_t>(
                                            1, costs.max - costs.min)));
    const auto holds_at = [&](double price) -> absl::StatusOr<bool> {
      prices_[budget] = price;
      auto found = SolveAtPrices();
      if (!found.ok()) return found.status();
      return Holds(space_, *found, space_.budgets[budget]);
    };
    for (int i = 0;; ++i, low = high, high *= 2) {
      auto holds = holds_at(high);
      if (!holds.ok()) return holds.status();
      if (*holds) break;
      if (i < kDoublings) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("no assignment within ", space_.budgets[0].limit, " ",
                       space_.cost_kinds[space_.budgets[0].kind],
                       " costs at most ", space_.budgets[budget].limit, " ",
                       space_.cost_kinds[space_.budgets[budget].kind],
                       "; raise one of the budgets"));
    }
    for (int i = 0; i < kBisections; ++i) {
      const double middle = (low + high) / 2;
      auto holds = holds_at(middle);
      if (!holds.ok()) return holds.status();
      (*holds ? high : low) = middle;
    }
    prices_[budget] = high;
    return absl::OkStatus();
  }

  const SearchSpace& space_;
  const Penalties& penalties_;
  const int64_t max_cells_;
  std::vector<double> prices_;  // one a budget; the first stays 0
};

}  // namespace

absl::StatusOr<Assignment> SolveKnapsack(
    const SearchSpace& space, const std::vector<std::vector<double>>& penalties,
    int64_t max_cells) {
  if (space.budgets.size() == 1) {
    auto found = SolveShares(space, penalties, max_cells);
    if (!found.ok()) return found.status();
    if (found->exact) return std::move(found->assignment);
    return FillUp(space, penalties, std::move(found->assignment));
  }
  return PricedKnapsack(space, penalties, max_cells).Run();
}

}  // namespace evopress::search
