#include "search/mutation.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace evopress::search {
namespace {

// Which way a unit has moved within the child under construction.
enum class Way : uint8_t { kNone, kUp, kDown, kSideways };

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

ExchangeClasses LegalMoves(const SearchSpace& space, const Assignment& child,
                           const std::vector<Way>& ways) {
  ExchangeClasses classes;
  const int kind = SteeringKind(space);
  for (size_t u = 0; u < space.units.size(); ++u) {
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

void Apply(const Move& move, Way way, Assignment& child,
           std::vector<Way>& ways) {
  child.levels[move.unit] = move.level;
  ways[move.unit] = way;
}

// A random class, weighted by its units as the reference weighs its groups,
// then a random raise, then a random partner. False if nothing is legal.
bool SwitchOnce(const SearchSpace& space, Assignment& child,
                std::vector<Way>& ways, Rng& rng) {
  const ExchangeClasses classes = LegalMoves(space, child, ways);
  std::vector<std::pair<int64_t, const ExchangeClasses::value_type*>> weighted;
  int64_t total = 0;
  for (const auto& entry : classes) {
    if (!HasSwitch(entry.first.second, entry.second)) continue;
    total += DistinctUnits(entry.second);
    weighted.emplace_back(total, &entry);
  }
  if (weighted.empty()) return false;
  const int64_t ticket = static_cast<int64_t>(rng.Below(total));
  const auto& [key, exchange] =
      *std::find_if(weighted.begin(), weighted.end(), [&](const auto& entry) {
         return ticket < entry.first;
       })->second;

  if (key.second == 0) {
    Apply(exchange.lowerings[rng.Below(exchange.lowerings.size())],
          Way::kSideways, child, ways);
    return true;
  }
  const size_t first = rng.Below(exchange.raises.size());
  for (size_t i = 0; i < exchange.raises.size(); ++i) {
    const Move& raise = exchange.raises[(first + i) % exchange.raises.size()];
    std::vector<const Move*> partners;
    for (const Move& lowering : exchange.lowerings) {
      if (Pairs(raise, lowering)) partners.push_back(&lowering);
    }
    if (partners.empty()) continue;
    Apply(raise, Way::kUp, child, ways);
    Apply(*partners[rng.Below(partners.size())], Way::kDown, child, ways);
    return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<Assignment> SwitchLevels(const SearchSpace& space,
                                        const Assignment& parent,
                                        int max_switches, Rng& rng) {
  for (int tries = 0; tries < kMaxTriesPerChild; ++tries) {
    const int64_t switches =
        std::min(rng.Between(1, max_switches), rng.Between(1, max_switches));
    Assignment child = parent;
    std::vector<Way> ways(space.units.size(), Way::kNone);
    for (int64_t s = 0; s < switches; ++s) {
      if (SwitchOnce(space, child, ways, rng)) continue;
      if (s == 0) {
        return absl::FailedPreconditionError(
            "no legal switch: no two units of a group can trade equal cost");
      }
      break;
    }
    // The steering budget holds by construction, the others may not.
    if (space.budgets.size() <= 1 || WithinBudgets(space, child)) return child;
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      "no child met all budgets in ", kMaxTriesPerChild, " tries"));
}

std::vector<Assignment> Offspring(const SearchSpace& space,
                                  const Assignment& parent, int count,
                                  int max_switches, uint64_t seed,
                                  uint64_t round) {
  std::vector<Assignment> children;
  std::set<Assignment> seen;
  for (int slot = 0; slot < count; ++slot) {
    Rng rng(seed, round, static_cast<uint32_t>(slot));
    for (int tries = 0; tries < kMaxTriesPerChild; ++tries) {
      absl::StatusOr<Assignment> child =
          SwitchLevels(space, parent, max_switches, rng);
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
