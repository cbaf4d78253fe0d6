#include "search/probes.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "search/grouping.h"
#include "search/weighted_dp.h"

namespace evopress::search {
int64_t CountModules(const SearchSpace& space) {
  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  return std::count_if(
      members.begin(), members.end(),
      [](const std::vector<size_t>& inside) { return !inside.empty(); });
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
