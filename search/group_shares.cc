#include "search/group_shares.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace evopress::search {
namespace {

bool MembersHaveAChoice(const SearchSpace& space) {
  return std::any_of(space.units.begin(), space.units.end(),
                     [](const Unit& unit) {
                       return unit.module != kNoModule && unit.menu.size() > 1;
                     });
}

}  // namespace

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
  const bool grouped = bracket.has_value() && !MembersHaveAChoice(space);
  std::map<std::string, GroupShare> shares;
  for (size_t u = 0; u < space.units.size(); ++u) {
    const int module = space.units[u].module;
    const Unit& owner = space.units[module == kNoModule ? u : module];
    shares[grouped ? owner.group : std::string()].units.push_back(u);
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
    const int64_t low = Spent(space, share, bracket->floor.assignment);
    const int64_t high = Spent(space, share, bracket->ceiling.assignment);
    share.limit = low + static_cast<int64_t>((high - low) * above / width);
    result.push_back(std::move(share));
  }
  return result;
}

int64_t Spent(const SearchSpace& space, const GroupShare& share,
              const Assignment& assignment) {
  const int kind = SteeringKind(space);
  int64_t spent = 0;
  for (size_t u : share.units) {
    if (!IsActive(space, assignment, u)) continue;
    spent += space.units[u].menu[assignment.levels[u]].costs[kind];
  }
  return spent;
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
      const int module = space.units[u].module;
      // A module's members are in its share: it is fixed where they are.
      if (module != kNoModule && options[module].front() == kDropped) continue;
      problem.limit += space.units[u].menu[options[u].front()].costs[kind];
    }
  }
  return problem;
}

}  // namespace evopress::search
