#include "search/group_shares.h"

#include <map>
#include <string>
#include <utility>

namespace evopress::search {

std::optional<UniformBracket> FindBracket(const SearchSpace& space) {
  std::optional<UniformAssignment> floor;
  for (UniformAssignment& uniform : UniformAssignments(space)) {
    if (uniform.cost > space.budgets[0].limit) {
      if (!floor.has_value()) return std::nullopt;
      return UniformBracket{*std::move(floor), std::move(uniform)};
    }
    if (!floor.has_value() || uniform.cost > floor->cost) floor = uniform;
  }
  return std::nullopt;
}

std::vector<GroupShare> GroupShares(const SearchSpace& space) {
  const int kind = SteeringKind(space);
  const std::optional<UniformBracket> bracket = FindBracket(space);
  std::map<std::string, GroupShare> shares;
  for (size_t u = 0; u < space.units.size(); ++u) {
    const std::string group = bracket ? space.units[u].group : std::string();
    shares[group].units.push_back(u);
  }
  if (shares.size() == 1) {
    GroupShare& all = shares.begin()->second;
    all.limit = space.budgets[0].limit - space.constant_costs[kind];
    return {std::move(all)};
  }
  const __int128 above = space.budgets[0].limit - bracket->floor.cost;
  const __int128 width = bracket->ceiling.cost - bracket->floor.cost;
  std::vector<GroupShare> result;
  for (auto& [group, share] : shares) {
    int64_t low = 0, high = 0;
    for (size_t u : share.units) {
      const auto& menu = space.units[u].menu;
      low += menu[bracket->floor.assignment.levels[u]].costs[kind];
      high += menu[bracket->ceiling.assignment.levels[u]].costs[kind];
    }
    share.limit = low + static_cast<int64_t>((high - low) * above / width);
    result.push_back(std::move(share));
  }
  return result;
}

ShareProblem Isolate(const SearchSpace& space, const Options& options,
                     const GroupShare& share) {
  const int kind = SteeringKind(space);
  ShareProblem problem;
  problem.limit = space.constant_costs[kind] + share.limit;
  auto member = share.units.begin();
  for (size_t u = 0; u < options.size(); ++u) {
    if (member != share.units.end() && *member == u) {
      problem.options.push_back(options[u]);
      ++member;
    } else {
      problem.options.push_back({options[u].front()});
      problem.limit += space.units[u].menu[options[u].front()].costs[kind];
    }
  }
  return problem;
}

}  // namespace evopress::search
