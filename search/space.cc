#include "search/space.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "search/digest.h"

namespace evopress::search {
namespace {

constexpr size_t kMaxMenu = std::numeric_limits<uint16_t>::max();
constexpr int64_t kMaxUnitWeights = int64_t{1} << 40;
constexpr size_t kMaxNameForDistance = 256;
constexpr size_t kMaxSuggestions = 3;

absl::Status ValidateCosts(const std::string& owner,
                           const std::vector<int64_t>& costs,
                           const SearchSpace& space) {
  if (costs.size() != space.cost_kinds.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(owner, " has ", costs.size(), " costs; the space has ",
                     space.cost_kinds.size(), " cost kinds"));
  }
  for (size_t k = 0; k < costs.size(); ++k) {
    if (costs[k] < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          owner, " has negative ", space.cost_kinds[k], " ", costs[k]));
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateUnit(const SearchSpace& space, const Unit& unit) {
  const std::string owner = absl::StrCat("unit \"", unit.name, "\"");
  if (unit.weights < 0 || unit.weights > kMaxUnitWeights) {
    return absl::InvalidArgumentError(absl::StrCat(owner, " has ", unit.weights,
                                                   " weights; legal are 0 to ",
                                                   kMaxUnitWeights));
  }
  if (unit.menu.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(owner, " has no levels"));
  }
  if (unit.menu.size() > kMaxMenu) {
    return absl::InvalidArgumentError(absl::StrCat(
        owner, " has ", unit.menu.size(), " levels; the limit is ", kMaxMenu));
  }
  std::set<std::string> names;
  const size_t kind = SteeringKind(space);
  for (size_t l = 0; l < unit.menu.size(); ++l) {
    const LevelChoice& level = unit.menu[l];
    if (!names.insert(level.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(owner, " has level \"", level.name, "\" twice"));
    }
    const absl::Status costs = ValidateCosts(
        absl::StrCat(owner, " level \"", level.name, "\""), level.costs, space);
    if (!costs.ok()) return costs;
    if (l > 0 && kind < level.costs.size() &&
        level.costs[kind] < unit.menu[l - 1].costs[kind]) {
      return absl::InvalidArgumentError(absl::StrCat(
          owner, " level \"", level.name, "\" is out of order: menus rise in ",
          space.cost_kinds[kind], " (see SortMenus)"));
    }
  }
  return absl::OkStatus();
}

int64_t MaxCost(const Unit& unit, size_t kind) {
  int64_t most = 0;
  for (const LevelChoice& level : unit.menu) {
    most = std::max(most, level.costs[kind]);
  }
  return most;
}

int64_t MinCost(const Unit& unit, size_t kind) {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const LevelChoice& level : unit.menu) {
    least = std::min(least, level.costs[kind]);
  }
  return least;
}

absl::Status ValidateModule(const SearchSpace& space, const Unit& unit) {
  const std::string owner = absl::StrCat("module \"", unit.name, "\"");
  if (unit.module != kNoModule) {
    return absl::InvalidArgumentError(
        absl::StrCat(owner, " lies in a module itself; modules do not nest"));
  }
  if (unit.menu.size() != 2 || unit.menu[kDropped].name != kDrop ||
      unit.menu[kKept].name != kKeep) {
    return absl::InvalidArgumentError(
        absl::StrCat(owner, " must have the levels drop and keep, in order"));
  }
  for (size_t k = 0; k < space.cost_kinds.size(); ++k) {
    const int64_t cost = unit.menu[kDropped].costs[k];
    if (cost == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        owner, " costs ", cost, " ", space.cost_kinds[k],
        " when dropped; what is dropped costs nothing of any kind"));
  }
  return absl::OkStatus();
}

// The layers that a unit stands for.
std::vector<std::string> LayersOf(const Unit& unit) {
  return unit.layers.empty() ? std::vector{unit.name} : unit.layers;
}

// Every unit names the module that its layers lie in, and only that.
absl::Status ValidateModules(const SearchSpace& space) {
  std::map<std::string, int> module_of_name;
  for (const Unit& unit : space.units) {
    const int module = unit.module;
    if (module == kNoModule) continue;
    if (module < 0 || static_cast<size_t>(module) >= space.units.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "unit \"", unit.name, "\" lies in module ", module,
          ", which is none of the ", space.units.size(), " units"));
    }
    const absl::Status valid = ValidateModule(space, space.units[module]);
    if (!valid.ok()) return valid;
    for (const std::string& name : LayersOf(space.units[module])) {
      module_of_name[name] = module;
    }
  }
  for (const Unit& unit : space.units) {
    for (const std::string& layer : LayersOf(unit)) {
      int within = kNoModule;
      for (size_t dot = layer.find('.');
           dot != std::string::npos && within == kNoModule;
           dot = layer.find('.', dot + 1)) {
        const auto found = module_of_name.find(layer.substr(0, dot));
        if (found != module_of_name.end()) within = found->second;
      }
      if (within == unit.module) continue;
      const auto name = [&](int module) {
        return module == kNoModule ? std::string("none")
                                   : space.units[module].name;
      };
      return absl::InvalidArgumentError(absl::StrCat(
          "unit \"", unit.name, "\" spans modules: it belongs to \"",
          name(unit.module), "\", its layer ", layer, " to \"", name(within),
          "\"; tie only layers of one module"));
    }
  }
  return absl::OkStatus();
}

// Levenshtein distance of the names' first kMaxNameForDistance characters.
size_t EditDistance(std::string a, std::string b) {
  a.resize(std::min(a.size(), kMaxNameForDistance));
  b.resize(std::min(b.size(), kMaxNameForDistance));
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substituted});
    }
  }
  return row.back();
}

}  // namespace

int SteeringKind(const SearchSpace& space) {
  return space.budgets.empty() ? 0 : space.budgets[0].kind;
}

void SortMenus(SearchSpace& space) {
  const size_t kind = SteeringKind(space);
  for (Unit& unit : space.units) {
    std::sort(
        unit.menu.begin(), unit.menu.end(),
        [kind](const LevelChoice& a, const LevelChoice& b) {
          const int64_t cost_a = kind < a.costs.size() ? a.costs[kind] : 0;
          const int64_t cost_b = kind < b.costs.size() ? b.costs[kind] : 0;
          return std::pair(cost_a, a.name) < std::pair(cost_b, b.name);
        });
  }
}

absl::Status Validate(const SearchSpace& space) {
  if (space.units.empty()) {
    return absl::InvalidArgumentError("the search space has no units");
  }
  const absl::Status constants =
      ValidateCosts("the constant part", space.constant_costs, space);
  if (!constants.ok()) return constants;
  for (size_t b = 0; b < space.budgets.size(); ++b) {
    const int kind = space.budgets[b].kind;
    if (kind < 0 || static_cast<size_t>(kind) >= space.cost_kinds.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("budgets[", b, "].kind=", kind, " is not one of the ",
                       space.cost_kinds.size(), " cost kinds"));
    }
  }
  std::set<std::string> names;
  for (const Unit& unit : space.units) {
    if (!names.insert(unit.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("unit \"", unit.name, "\" appears twice"));
    }
    const absl::Status valid = ValidateUnit(space, unit);
    if (!valid.ok()) return valid;
  }
  for (size_t k = 0; k < space.cost_kinds.size(); ++k) {
    int64_t total = space.constant_costs[k];
    for (const Unit& unit : space.units) {
      if (__builtin_add_overflow(total, MaxCost(unit, k), &total)) {
        return absl::InvalidArgumentError(
            absl::StrCat("total ", space.cost_kinds[k],
                         " exceeds 64 bits at unit \"", unit.name, "\""));
      }
    }
  }
  return ValidateModules(space);
}

absl::Status Validate(const SearchSpace& space, const Assignment& assignment) {
  if (assignment.levels.size() != space.units.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("assignment has ", assignment.levels.size(),
                     " levels; the space has ", space.units.size(), " units"));
  }
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (assignment.levels[u] >= space.units[u].menu.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "level ", assignment.levels[u], " of unit \"", space.units[u].name,
          "\" exceeds its menu of ", space.units[u].menu.size()));
    }
  }
  return absl::OkStatus();
}

bool LiesIn(const std::string& layer, const std::string& module) {
  return layer.size() > module.size() && layer[module.size()] == '.' &&
         absl::StartsWith(layer, module);
}

bool HasModules(const SearchSpace& space) {
  return std::any_of(space.units.begin(), space.units.end(),
                     [](const Unit& unit) { return unit.module != kNoModule; });
}

std::vector<std::vector<size_t>> MembersOfModules(const SearchSpace& space) {
  std::vector<std::vector<size_t>> members(space.units.size());
  for (size_t u = 0; u < space.units.size(); ++u) {
    const int module = space.units[u].module;
    if (module != kNoModule) members[module].push_back(u);
  }
  return members;
}

Assignment Canonical(const SearchSpace& space, Assignment assignment) {
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (!IsActive(space, assignment, u)) assignment.levels[u] = 0;
  }
  return assignment;
}

Assignment FillInactive(const SearchSpace& space, Assignment assignment,
                        const std::vector<uint16_t>& levels) {
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (!IsActive(space, assignment, u)) assignment.levels[u] = levels[u];
  }
  return assignment;
}

int64_t Cost(const SearchSpace& space, const Assignment& assignment, int kind) {
  int64_t total = space.constant_costs[kind];
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (!IsActive(space, assignment, u)) continue;
    total += space.units[u].menu[assignment.levels[u]].costs[kind];
  }
  return total;
}

bool WithinBudgets(const SearchSpace& space, const Assignment& assignment) {
  return std::all_of(
      space.budgets.begin(), space.budgets.end(), [&](const Budget& budget) {
        return Cost(space, assignment, budget.kind) <= budget.limit;
      });
}

Assignment Dearest(const SearchSpace& space) {
  Assignment dearest;
  for (const Unit& unit : space.units) {
    dearest.levels.push_back(static_cast<uint16_t>(unit.menu.size() - 1));
  }
  return dearest;
}

CostRange ReachableCosts(const SearchSpace& space, int kind) {
  CostRange range{space.constant_costs[kind], space.constant_costs[kind]};
  for (const Unit& unit : space.units) {
    // The cheapest choice of a module is to drop it.
    if (unit.module == kNoModule) range.min += MinCost(unit, kind);
    range.max += MaxCost(unit, kind);
  }
  return range;
}

absl::Status CheckBudgetsReachable(const SearchSpace& space) {
  for (const Budget& budget : space.budgets) {
    const CostRange range = ReachableCosts(space, budget.kind);
    if (budget.limit < range.min) {
      return absl::FailedPreconditionError(absl::StrCat(
          "budget of ", budget.limit, " ", space.cost_kinds[budget.kind],
          " is out of reach; this space reaches ", range.min, " to ",
          range.max));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int> FindLevel(const Unit& unit, const std::string& name) {
  for (size_t l = 0; l < unit.menu.size(); ++l) {
    if (unit.menu[l].name == name) return static_cast<int>(l);
  }
  return absl::NotFoundError(absl::StrCat(
      "unit \"", unit.name, "\" has no level \"", name, "\"; it has ",
      absl::StrJoin(unit.menu, ", ",
                    [](std::string* out, const LevelChoice& level) {
                      absl::StrAppend(out, level.name);
                    })));
}

absl::StatusOr<int> FindUnit(const SearchSpace& space,
                             const std::string& name) {
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (space.units[u].name == name) return static_cast<int>(u);
  }
  std::vector<std::pair<size_t, std::string>> near;
  near.reserve(space.units.size());
  for (const Unit& unit : space.units) {
    near.emplace_back(EditDistance(name, unit.name), unit.name);
  }
  std::sort(near.begin(), near.end());
  near.resize(std::min(near.size(), kMaxSuggestions));
  return absl::NotFoundError(absl::StrCat(
      "no unit \"", name, "\"; the nearest are ",
      absl::StrJoin(near, ", ", [](std::string* out, const auto& entry) {
        absl::StrAppend(out, entry.second);
      })));
}

std::string Hash(const SearchSpace& space) {
  CanonicalWriter out("evopress.space.1");
  out.Word(space.cost_kinds.size());
  for (const std::string& kind : space.cost_kinds) out.Text(kind);
  out.Word(space.constant_costs.size());
  for (int64_t cost : space.constant_costs) out.Int(cost);
  out.Word(space.units.size());
  for (const Unit& unit : space.units) {
    out.Text(unit.name);
    out.Word(unit.layers.size());
    for (const std::string& layer : unit.layers) out.Text(layer);
    out.Int(unit.weights);
    out.Text(unit.group);
    out.Word(unit.menu.size());
    for (const LevelChoice& level : unit.menu) {
      out.Text(level.name);
      out.Word(level.costs.size());
      for (int64_t cost : level.costs) out.Int(cost);
    }
  }
  out.Word(space.budgets.size());
  for (const Budget& budget : space.budgets) {
    out.Int(budget.kind);
    out.Int(budget.limit);
  }
  // Spaces without modules keep the hash that they have always had.
  if (HasModules(space)) {
    for (const Unit& unit : space.units) out.Int(unit.module);
  }
  return out.Sha256();
}

std::string Hash(const Assignment& assignment) {
  CanonicalWriter out("evopress.assignment.1");
  out.Word(assignment.levels.size());
  for (uint16_t level : assignment.levels) out.Word(level);
  return out.Sha256();
}

}  // namespace evopress::search
