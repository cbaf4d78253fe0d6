#include "search/inheritance.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <tuple>
#include <utility>

#include "search/trust_region.h"

namespace evopress::search {
namespace {

// What costs this share of the limit more or less may be of use.
constexpr double kNear = 0.25;
constexpr size_t kMaxFinalists = 4;

struct Known {
  Assignment assignment;
  std::vector<int32_t> samples;  // in rising order
  int64_t distance = 0;          // from the limit, in its cost
};

// The unit whose level alone two assignments differ in, if one does.
std::optional<size_t> OnlyChange(const Assignment& a, const Assignment& b) {
  std::optional<size_t> change;
  for (size_t u = 0; u < a.levels.size(); ++u) {
    if (a.levels[u] == b.levels[u]) continue;
    if (change.has_value()) return std::nullopt;
    change = u;
  }
  return change;
}

}  // namespace

Inheritance Inherit(const StrategyInput& input,
                    const std::vector<int32_t>& without) {
  const SearchSpace& space = input.space;
  const Assignment dearest = Dearest(space);
  const Budget& budget = space.budgets[0];
  const int64_t constant = space.constant_costs[budget.kind];
  const double near = kNear * static_cast<double>(budget.limit - constant);
  std::vector<int32_t> excluded = without;
  std::sort(excluded.begin(), excluded.end());

  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  Inheritance found;
  found.probed.assign(space.units.size(), false);
  std::vector<Known> known;
  std::vector<int32_t> of_dearest;
  for (const auto& [assignment, sums] : input.archive) {
    Known entry{assignment, {}, 0};
    for (const auto& [sample, measured] : sums) {
      if (!std::binary_search(excluded.begin(), excluded.end(), sample)) {
        entry.samples.push_back(sample);
      }
    }
    if (entry.samples.empty()) continue;
    if (assignment == dearest) of_dearest = entry.samples;
    const int64_t cost = Cost(space, assignment, budget.kind);
    entry.distance = std::abs(cost - budget.limit);
    known.push_back(std::move(entry));
  }
  std::vector<Known> others;
  for (Known& entry : known) {
    if (entry.assignment == dearest) continue;
    const std::optional<size_t> unit = OnlyChange(entry.assignment, dearest);
    if (unit.has_value() && members[*unit].empty()) {
      std::vector<int32_t> shared;
      std::set_intersection(entry.samples.begin(), entry.samples.end(),
                            of_dearest.begin(), of_dearest.end(),
                            std::back_inserter(shared));
      if (shared.empty()) continue;
      found.probed[*unit] = true;
    } else if (static_cast<double>(entry.distance) <= near) {
      others.push_back(std::move(entry));
    }
  }
  size_t most = 0;
  for (const Known& entry : others) most = std::max(most, entry.samples.size());
  std::vector<const Known*> finalists;
  for (const Known& entry : others) {
    if (2 * entry.samples.size() >= most) finalists.push_back(&entry);
  }
  std::sort(finalists.begin(), finalists.end(),
            [](const Known* a, const Known* b) {
              return std::tie(a->distance, a->assignment) <
                     std::tie(b->distance, b->assignment);
            });
  if (finalists.size() > kMaxFinalists) finalists.resize(kMaxFinalists);
  for (const Known* entry : finalists) {
    found.finalists.push_back(entry->assignment);
  }
  return found;
}

}  // namespace evopress::search
