#include "search/module_moves.h"

#include <utility>

#include "search/digest.h"

namespace evopress::search {

ModuleMoves::ModuleMoves(const SearchSpace& space)
    : space_(&space),
      kind_(SteeringKind(space)),
      members_(MembersOfModules(space)) {
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (!IsModule(u)) continue;
    // Members without a choice count by what they cost, the others by their
    // menus.
    int64_t fixed = space.units[u].menu[kKept].costs[kind_];
    CanonicalWriter menus("menus");
    for (size_t m : members_[u]) {
      const std::vector<LevelChoice>& menu = space.units[m].menu;
      if (menu.size() == 1) {
        fixed += menu[0].costs[kind_];
        continue;
      }
      resizes_ = !space.budgets.empty();
      menus.Word(menu.size());
      for (const LevelChoice& level : menu) {
        menus.Text(level.name);
        menus.Int(level.costs[kind_]);
      }
    }
    menus.Int(fixed);
    menus.Text(space.units[u].group);
    classes_[menus.Sha256()].push_back(u);
  }
}

std::vector<ModuleClass> ModuleMoves::Swaps(const Draft& draft) const {
  std::vector<ModuleClass> swaps;
  for (const auto& [signature, modules] : classes_) {
    ModuleClass found;
    for (size_t u : modules) {
      if (draft.ways[u] != Way::kNone) continue;
      const bool kept = draft.child.levels[u] == kKept;
      (kept ? found.kept : found.dropped).push_back(u);
    }
    if (found.kept.empty() || found.dropped.empty()) continue;
    swaps.push_back(std::move(found));
  }
  return swaps;
}

void ModuleMoves::Swap(const ModuleClass& among, Draft& draft, Rng& rng) const {
  const size_t from = among.kept[rng.Below(among.kept.size())];
  const size_t to = among.dropped[rng.Below(among.dropped.size())];
  std::vector<size_t> choosing[2];
  for (const size_t end : {from, to}) {
    for (size_t m : members_[end]) {
      draft.ways[m] = Way::kSideways;
      if (space_->units[m].menu.size() > 1) choosing[end == to].push_back(m);
    }
  }
  for (size_t i = 0; i < choosing[0].size(); ++i) {
    draft.child.levels[choosing[1][i]] =
        std::exchange(draft.child.levels[choosing[0][i]], uint16_t{0});
  }
  draft.child.levels[from] = kDropped;
  draft.child.levels[to] = kKept;
  draft.ways[from] = draft.ways[to] = Way::kSideways;
}

std::vector<size_t> ModuleMoves::Resizable(const Draft& draft) const {
  std::vector<size_t> modules;
  if (!resizes_) return modules;
  for (size_t u = 0; u < members_.size(); ++u) {
    if (IsModule(u) && draft.ways[u] == Way::kNone) modules.push_back(u);
  }
  return modules;
}

void ModuleMoves::Resize(size_t module, Draft& draft, Rng& rng) const {
  Draft resized = draft;
  resized.ways[module] = Way::kSideways;
  for (size_t m : members_[module]) resized.ways[m] = Way::kSideways;
  if (draft.child.levels[module] == kKept) {
    resized.child.levels[module] = kDropped;
    resized.child = Canonical(*space_, std::move(resized.child));
  } else {
    Restore(module, resized, rng);
    if (!Pay(resized, rng)) return;
  }
  Spend(resized, rng);
  draft = std::move(resized);
}

// Its members take the levels of a kept module of the class, if there is one.
void ModuleMoves::Restore(size_t module, Draft& draft, Rng& rng) const {
  draft.child.levels[module] = kKept;
  for (const auto& [signature, modules] : classes_) {
    std::vector<size_t> models;
    bool own = false;
    for (size_t u : modules) {
      own = own || u == module;
      if (u != module && draft.child.levels[u] == kKept) models.push_back(u);
    }
    if (!own || models.empty()) continue;
    const size_t model = models[rng.Below(models.size())];
    for (size_t i = 0; i < members_[module].size(); ++i) {
      draft.child.levels[members_[module][i]] =
          draft.child.levels[members_[model][i]];
    }
  }
}

int64_t ModuleMoves::Slack(const Draft& draft) const {
  return space_->budgets[0].limit - Cost(*space_, draft.child, kind_);
}

std::vector<size_t> ModuleMoves::Movable(const Draft& draft, Way way) const {
  std::vector<size_t> units;
  for (size_t u = 0; u < space_->units.size(); ++u) {
    if (!IsModule(u) && IsActive(*space_, draft.child, u) &&
        (draft.ways[u] == Way::kNone || draft.ways[u] == way)) {
      units.push_back(u);
    }
  }
  return units;
}

// One step down of a random unit after the other, until the budget holds.
bool ModuleMoves::Pay(Draft& draft, Rng& rng) const {
  std::vector<size_t> units = Movable(draft, Way::kDown);
  int64_t slack = Slack(draft);
  while (slack < 0) {
    if (units.empty()) return false;
    const size_t at = rng.Below(units.size());
    const size_t u = units[at];
    uint16_t& level = draft.child.levels[u];
    const std::vector<LevelChoice>& menu = space_->units[u].menu;
    const int64_t here = menu[level].costs[kind_];
    uint16_t below = level;
    while (below > 0 && menu[below].costs[kind_] == here) --below;
    if (menu[below].costs[kind_] == here) {
      units.erase(units.begin() + static_cast<std::ptrdiff_t>(at));
      continue;
    }
    slack += here - menu[below].costs[kind_];
    level = below;
    draft.ways[u] = Way::kDown;
  }
  return true;
}

// One step up of a random unit after the other, while one fits.
void ModuleMoves::Spend(Draft& draft, Rng& rng) const {
  std::vector<size_t> units = Movable(draft, Way::kUp);
  int64_t slack = Slack(draft);
  while (!units.empty()) {
    const size_t at = rng.Below(units.size());
    const size_t u = units[at];
    uint16_t& level = draft.child.levels[u];
    const std::vector<LevelChoice>& menu = space_->units[u].menu;
    const int64_t here = menu[level].costs[kind_];
    size_t above = level;
    while (above < menu.size() && menu[above].costs[kind_] == here) ++above;
    if (above == menu.size() || menu[above].costs[kind_] - here > slack) {
      units.erase(units.begin() + static_cast<std::ptrdiff_t>(at));
      continue;
    }
    slack -= menu[above].costs[kind_] - here;
    level = static_cast<uint16_t>(above);
    draft.ways[u] = Way::kUp;
  }
}

}  // namespace evopress::search
