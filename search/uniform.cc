#include "search/uniform.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "search/level_name.h"

namespace evopress::search {
namespace {

class Uniform : public StepwiseStrategy {
 public:
  Uniform(StrategyInput input, StrategyIdentity identity)
      : StepwiseStrategy(std::move(input), std::move(identity)) {}

 private:
  absl::StatusOr<Step> First() override {
    absl::StatusOr<UniformAssignment> best = DearestUniform(space());
    if (!best.ok()) return best.status();
    return Finish(std::move(best->assignment),
                  std::numeric_limits<double>::infinity());
  }
  absl::StatusOr<Step> Next(const Round&, const std::vector<double>&) override {
    return absl::InternalError("uniform has no rounds");
  }
};

// The level called `name`, or the one that is as good as it: of the same bits,
// groups and pattern.
std::optional<int> FindAlike(const Unit& unit, const std::string& name) {
  if (const auto exact = FindLevel(unit, name); exact.ok()) return *exact;
  const auto wanted = ParseLevel(name);
  if (!wanted.ok() || name == kKeep || name == kDrop) return std::nullopt;
  std::optional<int> found;
  for (size_t l = 0; l < unit.menu.size(); ++l) {
    auto level = ParseLevel(unit.menu[l].name);
    if (!level.ok() || level->method == kKeep || level->method == kDrop) {
      continue;
    }
    level->method = wanted->method;
    level->act_order = wanted->act_order;
    level->scale_search = wanted->scale_search;
    if (*level != *wanted) continue;
    if (found.has_value()) return std::nullopt;
    found = static_cast<int>(l);
  }
  return found;
}

}  // namespace

std::vector<UniformAssignment> UniformAssignments(const SearchSpace& space) {
  std::set<std::string> names;
  for (const Unit& unit : space.units) {
    for (const LevelChoice& level : unit.menu) names.insert(level.name);
  }
  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  std::vector<UniformAssignment> found;
  for (const std::string& name : names) {
    UniformAssignment uniform{name, {}, 0};
    for (size_t u = 0; u < space.units.size(); ++u) {
      const Unit& unit = space.units[u];
      const std::optional<int> level = FindAlike(unit, name);
      const bool inactive = name == kDrop && unit.module != kNoModule;
      if (level.has_value()) {
        uniform.assignment.levels.push_back(*level);
      } else if (!members[u].empty()) {
        uniform.assignment.levels.push_back(kKept);
      } else if (unit.menu.size() == 1 || inactive) {
        uniform.assignment.levels.push_back(0);
      } else {
        break;
      }
    }
    if (uniform.assignment.levels.size() != space.units.size()) continue;
    uniform.cost = Cost(space, uniform.assignment, SteeringKind(space));
    const bool repeated = std::any_of(
        found.begin(), found.end(), [&](const UniformAssignment& other) {
          return other.assignment == uniform.assignment;
        });
    if (!repeated) found.push_back(std::move(uniform));
  }
  std::sort(found.begin(), found.end(),
            [](const UniformAssignment& a, const UniformAssignment& b) {
              return std::tie(a.cost, a.level) < std::tie(b.cost, b.level);
            });
  return found;
}

absl::StatusOr<UniformAssignment> DearestUniform(const SearchSpace& space) {
  std::vector<UniformAssignment> all = UniformAssignments(space);
  all.erase(std::remove_if(
                all.begin(), all.end(),
                [](const auto& uniform) { return uniform.level == kDrop; }),
            all.end());
  if (all.empty()) {
    return absl::FailedPreconditionError(
        "no level is legal for all units alike");
  }
  const UniformAssignment* best = nullptr;
  for (const UniformAssignment& uniform : all) {
    if (!WithinBudgets(space, uniform.assignment)) continue;
    if (best == nullptr || uniform.cost > best->cost) best = &uniform;
  }
  if (best == nullptr) {
    const int kind = SteeringKind(space);
    return absl::FailedPreconditionError(
        absl::StrCat("no uniform level meets the budgets; the cheapest, \"",
                     all.front().level, "\", costs ", all.front().cost, " ",
                     space.cost_kinds[kind],
                     HasModules(space) ? " with every module kept" : ""));
  }
  return *best;
}

absl::Status CheckOptions(const StrategyInput&, const UniformOptions&) {
  return absl::OkStatus();
}

int64_t PlannedSamples(const StrategyInput&, const UniformOptions&) {
  return 0;
}

std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const UniformOptions&,
                                      StrategyIdentity identity) {
  return std::make_unique<Uniform>(std::move(input), std::move(identity));
}

}  // namespace evopress::search
