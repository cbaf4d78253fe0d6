#include "search/cost_grid.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace evopress::search {
namespace {

void Order(const SearchSpace& space, CostGrid& grid) {
  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (space.units[u].module != kNoModule) continue;
    grid.order.push_back(u);
    grid.order.insert(grid.order.end(), members[u].begin(), members[u].end());
    grid.end.push_back(grid.order.size());
    while (grid.end.size() < grid.order.size()) {
      grid.end.push_back(grid.end.size() + 1);
    }
  }
}

}  // namespace

Options AllOptions(const SearchSpace& space) {
  Options options;
  options.reserve(space.units.size());
  for (const Unit& unit : space.units) {
    options.emplace_back(unit.menu.size());
    std::iota(options.back().begin(), options.back().end(), uint16_t{0});
  }
  return options;
}

absl::StatusOr<CostGrid> MakeCostGrid(const SearchSpace& space,
                                      const Options& options, int64_t limit,
                                      int64_t max_columns) {
  const int kind = SteeringKind(space);
  const auto cost = [&](size_t u, uint16_t level) {
    return space.units[u].menu[level].costs[kind];
  };
  CostGrid grid;
  Order(space, grid);
  int64_t base = space.constant_costs[kind];
  int64_t extra = 0;  // the dearest options above the cheapest
  int64_t divisor = 0;
  std::vector<int64_t> within(space.units.size());  // a module's members
  for (size_t u = 0; u < space.units.size(); ++u) {
    const int module = space.units[u].module;
    if (module != kNoModule) within[module] += cost(u, options[u].front());
  }
  for (size_t u = 0; u < space.units.size(); ++u) {
    const int module = space.units[u].module;
    // Of a module, dropping it costs nothing.
    const auto whole = [&](uint16_t level) {
      return cost(u, level) + (level == kDropped ? 0 : within[u]);
    };
    const int64_t cheapest = whole(options[u].front());
    if (module == kNoModule) base += cheapest;
    if (module == kNoModule || options[module].back() != kDropped) {
      extra += whole(options[u].back()) - cheapest;
    }
    std::vector<int64_t>& steps = grid.steps.emplace_back();
    for (uint16_t level : options[u]) {
      steps.push_back(whole(level) - cheapest);
      divisor = std::gcd(divisor, steps.back());
    }
  }
  if (base > limit) {
    return absl::FailedPreconditionError(
        absl::StrCat("budget of ", limit, " ", space.cost_kinds[kind],
                     " is below the cheapest choice, ", base));
  }
  const int64_t spendable = std::min(limit - base, extra);
  if (max_columns < 2) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the table of this budget does not fit into memory for ",
                     space.units.size(), " units"));
  }
  const int64_t max_capacity = max_columns - 1;
  grid.step = std::max<int64_t>(divisor, 1);
  if (spendable / grid.step > max_capacity) {
    grid.step = spendable / max_capacity + 1;
    grid.exact = false;
  }
  grid.capacity = spendable / grid.step;
  for (std::vector<int64_t>& steps : grid.steps) {
    for (int64_t& value : steps) {
      value = value / grid.step + (value % grid.step != 0 ? 1 : 0);
    }
  }
  return grid;
}

}  // namespace evopress::search
