#include "search/probes.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "search/grouping.h"
#include "search/weighted_dp.h"

namespace evopress::search {
namespace {

// Units of a type that are probed together: one in so many.
constexpr size_t kTypeShare = 4;

// Other than modules.
std::map<std::string, std::vector<size_t>> UnitsByType(
    const SearchSpace& space) {
  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  std::map<std::string, std::vector<size_t>> types;
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (space.units[u].menu.size() < 2 || !members[u].empty()) continue;
    types[RoleName(space.units[u].name)].push_back(u);
  }
  return types;
}

}  // namespace

int64_t CountModules(const SearchSpace& space) {
  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  return std::count_if(
      members.begin(), members.end(),
      [](const std::vector<size_t>& inside) { return !inside.empty(); });
}

int64_t CountTypes(const SearchSpace& space) {
  return static_cast<int64_t>(UnitsByType(space).size());
}

std::vector<uint16_t> RestoredLevels(const SearchSpace& space) {
  return ProbeLevels(space);
}

std::vector<Assignment> ProbesOfUnits(const SearchSpace& space,
                                      const std::vector<bool>& known) {
  const Assignment dearest = Dearest(space);
  const std::vector<uint16_t> targets = ProbeLevels(space);
  std::vector<Assignment> probes;
  for (size_t u = 0; u < targets.size(); ++u) {
    if (space.units[u].menu.size() < 2 || (!known.empty() && known[u])) {
      continue;
    }
    Assignment probe = dearest;
    probe.levels[u] = targets[u] > 0 ? targets[u] - 1 : 0;
    probes.push_back(Canonical(space, std::move(probe)));
  }
  return probes;
}

std::vector<Assignment> ProbesOfTypes(const SearchSpace& space,
                                      const Assignment& center) {
  std::vector<Assignment> probes;
  for (const auto& [type, units] : UnitsByType(space)) {
    for (int step : {-1, 1}) {
      Assignment probe = center;
      for (size_t i = units.size() % kTypeShare / 2; i < units.size();
           i += kTypeShare) {
        const size_t u = units[i];
        const int level = probe.levels[u] + step;
        if (level < 0 ||
            level >= static_cast<int>(space.units[u].menu.size())) {
          continue;
        }
        probe.levels[u] = static_cast<uint16_t>(level);
      }
      probe = Canonical(space, std::move(probe));
      if (probe != Canonical(space, center)) probes.push_back(std::move(probe));
    }
  }
  return probes;
}

std::vector<ModuleProbe> ProbesOfModules(const SearchSpace& space,
                                         const Assignment& center) {
  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  std::vector<ModuleProbe> probes;
  for (size_t u = 0; u < members.size(); ++u) {
    if (members[u].empty()) continue;
    Assignment probe = center;
    probe.levels[u] = probe.levels[u] == kKept ? kDropped : kKept;
    probes.push_back({u, Canonical(space, std::move(probe))});
  }
  return probes;
}

}  // namespace evopress::search
