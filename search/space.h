// The search space: which units exist, which levels each may take, and what
// every choice costs.
//
// A unit is the set of layers that share one choice; a level is one choice,
// known here only by its name ("gptq:b3:g64:asym", "keep"). Costs are exact
// integers, one per cost kind of the space (for example code bits and stored
// bits), so a budget is met or missed, never "about" met.
//
// A module (an attention, an MLP, a whole block) is a unit too, with the levels
// "drop" and "keep"; the units inside it name it. While it is dropped they are
// inactive: they cost nothing of any kind and their levels do not matter, so
// Canonical() sets those to one value, and equal phenotypes are equal
// assignments.
//
// All types are plain values; thread-compatible.
#ifndef EVOPRESS_SEARCH_SPACE_H_
#define EVOPRESS_SEARCH_SPACE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace evopress::search {

inline constexpr int kNoModule = -1;
inline constexpr char kDrop[] = "drop";
inline constexpr char kKeep[] = "keep";
inline constexpr uint16_t kDropped = 0;  // of modules
inline constexpr uint16_t kKept = 1;

// One entry of a unit's menu.
struct LevelChoice {
  std::string name;            // canonical level name, see level_name.h
  std::vector<int64_t> costs;  // one per SearchSpace::cost_kinds

  bool operator==(const LevelChoice&) const = default;
};

// Layers that share one choice, with the levels legal for them. Menus are
// ordered by rising cost of the first budget's kind (then by name).
//
// Of a module: `layers` are the modules dropped together, by name; `weights` is
// 0, as its members count their own; the menu is "drop", which costs nothing,
// and "keep", whose costs are the module's own without its members'.
struct Unit {
  std::string name;                 // e.g. "model.layers.0.mlp.down_proj"
  std::vector<std::string> layers;  // tie members; {name} for a plain layer
  int64_t weights = 0;              // parameters governed by the choice
  std::string group;                // exchange group; "" = one group for all
  std::vector<LevelChoice> menu;    // never empty
  int module = kNoModule;           // index of the module that it lies in

  bool operator==(const Unit&) const = default;
};

// cost(assignment)[kind] <= limit.
struct Budget {
  int kind = 0;  // index into SearchSpace::cost_kinds
  int64_t limit = 0;

  bool operator==(const Budget&) const = default;
};

struct SearchSpace {
  std::vector<std::string> cost_kinds;  // e.g. {"code_bits", "stored_bits"}
  std::vector<int64_t> constant_costs;  // one per kind; what no choice changes
  std::vector<Unit> units;
  std::vector<Budget> budgets;  // budgets[0] steers the search

  bool operator==(const SearchSpace&) const = default;
};

// One level per unit: levels[u] indexes space.units[u].menu.
struct Assignment {
  std::vector<uint16_t> levels;

  bool operator==(const Assignment&) const = default;
  auto operator<=>(const Assignment&) const = default;
};

// InvalidArgument, naming the unit and the value, unless the space is
// consistent: at least one unit, unique unit names, non-empty menus of unique
// levels in rising cost order, one non-negative cost per kind, sums that fit
// in int64, weights from 0 to 2^40 a unit, budgets on existing kinds; modules
// as Unit says, not nested, and exactly the units inside them by name (LiesIn)
// naming them as theirs.
absl::Status Validate(const SearchSpace& space);

// InvalidArgument unless `assignment` has one legal level index per unit.
absl::Status Validate(const SearchSpace& space, const Assignment& assignment);

// True for names below `module`: "a.b.c" lies in "a.b".
bool LiesIn(const std::string& layer, const std::string& module);

// True if some unit of `space` lies in a module.
bool HasModules(const SearchSpace& space);

// The units of every module, by rising index; empty for other units.
std::vector<std::vector<size_t>> MembersOfModules(const SearchSpace& space);

// False for a unit whose module is dropped. REQUIRES: valid arguments.
inline bool IsActive(const SearchSpace& space, const Assignment& assignment,
                     size_t unit) {
  const int module = space.units[unit].module;
  return module == kNoModule || assignment.levels[module] != kDropped;
}

// The same phenotype with every inactive unit at level 0.
// REQUIRES: valid arguments.
Assignment Canonical(const SearchSpace& space, Assignment assignment);

// `assignment` with every inactive unit at its level of `levels`: what it would
// have if its module were restored. REQUIRES: valid arguments.
Assignment FillInactive(const SearchSpace& space, Assignment assignment,
                        const std::vector<uint16_t>& levels);

// constant + sum over active units. REQUIRES: valid arguments.
int64_t Cost(const SearchSpace& space, const Assignment& assignment, int kind);

// True if every budget holds. REQUIRES: valid arguments.
bool WithinBudgets(const SearchSpace& space, const Assignment& assignment);

// Every unit at its dearest level, within the budgets or not.
// REQUIRES: a valid space.
Assignment Dearest(const SearchSpace& space);

// The kind that orders menus and steers the search: budgets[0].kind, or 0.
int SteeringKind(const SearchSpace& space);

// Puts every menu into the order that Unit::menu promises. Call it after the
// budgets are known and before indexing levels.
void SortMenus(SearchSpace& space);

// The cheapest and the dearest total cost of `kind`.
struct CostRange {
  int64_t min = 0;
  int64_t max = 0;
};
CostRange ReachableCosts(const SearchSpace& space, int kind);

// FailedPrecondition, printing asked and reachable costs, if a budget lies
// below the cheapest assignment. A budget above the dearest one is legal.
absl::Status CheckBudgetsReachable(const SearchSpace& space);

// Index of level `name` in the unit's menu; NotFound lists the menu.
absl::StatusOr<int> FindLevel(const Unit& unit, const std::string& name);

// Index of the unit called `name`; NotFound suggests the nearest names.
absl::StatusOr<int> FindUnit(const SearchSpace& space, const std::string& name);

// SHA-256, 64 hex digits, over a canonical encoding. The space's hash covers
// everything that a strategy can see.
std::string Hash(const SearchSpace& space);
std::string Hash(const Assignment& assignment);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_SPACE_H_
