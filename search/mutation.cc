#include "search/mutation.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "search/module_moves.h"

namespace evopress::search {
namespace {

struct Move {
  int unit = 0;
  uint16_t level = 0;
  bool next = false;  // to the nearest other cost
};

// Moves of one group that change the cost by one amount.
struct ExchangeClass {
  std::vector<Move> raises;
  std::vector<Move> lowerings;  // for amount 0: the sideways moves
};

using ExchangeClasses =
    std::map<std::pair<std::string, int64_t>, ExchangeClass>;

ExchangeClasses LegalMoves(const SearchSpace& space, const ModuleMoves& modules,
                           const Draft& draft) {
  const auto& [child, ways] = draft;
  ExchangeClasses classes;
  const int kind = SteeringKind(space);
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (modules.IsModule(u) || !IsActive(space, child, u)) continue;
    const Unit& unit = space.units[u];
    const int64_t here = unit.menu[child.levels[u]].costs[kind];
    int64_t above = -1, below = -1;
    for (const LevelChoice& level : unit.menu) {
      if (level.costs[kind] < here) below = level.costs[kind];
      if (level.costs[kind] > here && above < 0) above = level.costs[kind];
    }
    for (size_t l = 0; l < unit.menu.size(); ++l) {
      if (l == child.levels[u]) continue;
      const int64_t cost = unit.menu[l].costs[kind];
      const Way way = cost > here   ? Way::kUp
                      : cost < here ? Way::kDown
                                    : Way::kSideways;
      const bool free =
          ways[u] == Way::kNone || (ways[u] == way && way != Way::kSideways);
      if (!free) continue;
      const Move move{static_cast<int>(u), static_cast<uint16_t>(l),
                      cost == above || cost == below || cost == here};
      const int64_t amount = cost > here ? cost - here : here - cost;
      ExchangeClass& exchange = classes[{unit.group, amount}];
      (way == Way::kUp ? exchange.raises : exchange.lowerings).push_back(move);
    }
  }
  return classes;
}

bool Pairs(const Move& raise, const Move& lowering) {
  return raise.unit != lowering.unit && (raise.next || lowering.next);
}

bool HasSwitch(int64_t amount, const ExchangeClass& exchange) {
  if (amount == 0) return !exchange.lowerings.empty();
  for (const Move& raise : exchange.raises) {
    for (const Move& lowering : exchange.lowerings) {
      if (Pairs(raise, lowering)) return true;
    }
  }
  return false;
}

int64_t DistinctUnits(const ExchangeClass& exchange) {
  std::set<int> units;
  for (const Move& move : exchange.raises) units.insert(move.unit);
  for (const Move& move : exchange.lowerings) units.insert(move.unit);
  return static_cast<int64_t>(units.size());
}

void Apply(const Move& move, Way way, Draft& draft) {
  draft.child.levels[move.unit] = move.level;
  draft.ways[move.unit] = way;
}

void SwitchWithin(int64_t amount, const ExchangeClass& exchange, Draft& draft,
                  Rng& rng) {
  if (amount == 0) {
    Apply(exchange.lowerings[rng.Below(exchange.lowerings.size())],
          Way::kSideways, draft);
    return;
  }
  const size_t first = rng.Below(exchange.raises.size());
  for (size_t i = 0; i < exchange.raises.size(); ++i) {
    const Move& raise = exchange.raises[(first + i) % exchange.raises.size()];
    std::vector<const Move*> partners;
    for (const Move& lowering : exchange.lowerings) {
      if (Pairs(raise, lowering)) partners.push_back(&lowering);
    }
    if (partners.empty()) continue;
    Apply(raise, Way::kUp, draft);
    Apply(*partners[rng.Below(partners.size())], Way::kDown, draft);
    return;
  }
}

// A random class, weighted by its units as the reference weighs its groups,
// then a random raise, then a random partner. Modules are classes beside
// those. False if nothing is legal.
bool SwitchOnce(const SearchSpace& space, const ModuleMoves& modules,
                Draft& draft, Rng& rng) {
  const ExchangeClasses classes = LegalMoves(space, modules, draft);
  const std::vector<ModuleClass> swaps = modules.Swaps(draft);
  const std::vector<size_t> resizable = modules.Resizable(draft);
  std::vector<std::pair<int64_t, std::function<void()>>> weighted;
  int64_t total = 0;
  const auto add = [&](size_t weight, std::function<void()> move) {
    total += static_cast<int64_t>(weight);
    weighted.emplace_back(total, std::move(move));
  };
  for (const auto& entry : classes) {
    const int64_t amount = entry.first.second;
    const ExchangeClass* const exchange = &entry.second;
    if (!HasSwitch(amount, *exchange)) continue;
    add(DistinctUnits(*exchange), [&draft, &rng, amount, exchange] {
      SwitchWithin(amount, *exchange, draft, rng);
    });
  }
  for (const ModuleClass& among : swaps) {
    add(among.kept.size() + among.dropped.size(),
        [&] { modules.Swap(among, draft, rng); });
  }
  if (!resizable.empty()) {
    add(resizable.size(), [&] {
      modules.Resize(resizable[rng.Below(resizable.size())], draft, rng);
    });
  }
  if (weighted.empty()) return false;
  const int64_t ticket = static_cast<int64_t>(rng.Below(total));
  std::find_if(weighted.begin(), weighted.end(), [&](const auto& entry) {
    return ticket < entry.first;
  })->second();
  return true;
}

absl::StatusOr<Assignment> Mutate(const SearchSpace& space,
                                  const ModuleMoves& modules,
                                  const Assignment& parent, int max_switches,
                                  Rng& rng) {
  for (int tries = 0; tries < kMaxTriesPerChild; ++tries) {
    const int64_t switches =
        std::min(rng.Between(1, max_switches), rng.Between(1, max_switches));
    Draft draft{parent, std::vector<Way>(space.units.size(), Way::kNone)};
    for (int64_t s = 0; s < switches; ++s) {
      if (SwitchOnce(space, modules, draft, rng)) continue;
      if (s == 0) {
        return absl::FailedPreconditionError(
            "no legal switch: no two units of a group can trade equal cost");
      }
      break;
    }
    // No resize could be paid for.
    if (draft.child == parent) continue;
    // The steering budget holds by construction, the others may not.
    if (space.budgets.size() <= 1 || WithinBudgets(space, draft.child)) {
      return std::move(draft.child);
    }
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      "no child met all budgets in ", kMaxTriesPerChild, " tries"));
}

}  // namespace

absl::StatusOr<Assignment> SwitchLevels(const SearchSpace& space,
                                        const Assignment& parent,
                                        int max_switches, Rng& rng) {
  return Mutate(space, ModuleMoves(space), parent, max_switches, rng);
}

std::vector<Assignment> Offspring(const SearchSpace& space,
                                  const Assignment& parent, int count,
                                  int max_switches, uint64_t seed,
                                  uint64_t round) {
  const ModuleMoves modules(space);
  std::vector<Assignment> children;
  std::set<Assignment> seen;
  for (int slot = 0; slot < count; ++slot) {
    Rng rng(seed, round, static_cast<uint32_t>(slot));
    for (int tries = 0; tries < kMaxTriesPerChild; ++tries) {
      absl::StatusOr<Assignment> child =
          Mutate(space, modules, parent, max_switches, rng);
      if (absl::IsFailedPrecondition(child.status())) return children;
      if (!child.ok()) break;
      if (!seen.insert(*child).second) continue;
      children.push_back(*std::move(child));
      break;
    }
  }
  return children;
}

}  // namespace evopress::search
