#include "search/drop_score.h"

#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "search/drop_text.h"
#include "search/knapsack.h"

namespace evopress::search {
namespace {

std::vector<size_t> Modules(const SearchSpace& space) {
  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  std::vector<size_t> modules;
  for (size_t u = 0; u < members.size(); ++u) {
    if (!members[u].empty()) modules.push_back(u);
  }
  return modules;
}

// Ties go to the first window.
absl::StatusOr<Assignment> DropWindow(
    const SearchSpace& space, const std::vector<std::vector<double>>& scores) {
  const std::vector<size_t> modules = Modules(space);
  for (size_t length = 0; length <= modules.size(); ++length) {
    std::optional<Assignment> best;
    double least = std::numeric_limits<double>::infinity();
    for (size_t first = 0; first + length <= modules.size(); ++first) {
      Assignment assignment = Dearest(space);
      for (size_t m = first; m < first + length; ++m) {
        assignment.levels[modules[m]] = kDropped;
      }
      if (!WithinBudgets(space, assignment)) continue;
      const double score = length == 0 ? 0 : scores[modules[first]][length - 1];
      if (best.has_value() && score >= least) continue;
      least = score;
      best = std::move(assignment);
      if (length == 0) break;
    }
    if (best.has_value()) return Canonical(space, *std::move(best));
  }
  return absl::FailedPreconditionError(
      "no run of blocks meets the budgets when it is dropped");
}

class DropScore : public StepwiseStrategy {
 public:
  DropScore(StrategyInput input, const DropScoreOptions& options,
            StrategyIdentity identity)
      : StepwiseStrategy(std::move(input), std::move(identity)),
        options_(options) {}

 private:
  absl::StatusOr<Step> First() override {
    absl::StatusOr<Assignment> found =
        options_.score == ModelScore::kWindows
            ? DropWindow(space(), input().scores)
            : SolveKnapsack(space(), Penalties());
    if (!found.ok()) return found.status();
    return Finish(*std::move(found), std::numeric_limits<double>::infinity());
  }
  absl::StatusOr<Step> Next(const Round&, const std::vector<double>&) override {
    return absl::InternalError("drop-score has no rounds");
  }

  std::vector<std::vector<double>> Penalties() const {
    std::vector<std::vector<double>> penalties;
    for (const Unit& unit : space().units) {
      penalties.emplace_back(unit.menu.size(), 0.0);
    }
    for (size_t m : Modules(space())) {
      penalties[m][kDropped] = input().scores[m].front();
    }
    return penalties;
  }

  const DropScoreOptions options_;
};

}  // namespace

absl::Status CheckOptions(const StrategyInput& input,
                          const DropScoreOptions& options) {
  const SearchSpace& space = input.space;
  if (options.score != ModelScore::kCosine &&
      options.score != ModelScore::kMagnitude &&
      options.score != ModelScore::kWindows) {
    return absl::InvalidArgumentError(
        absl::StrCat("score ", static_cast<int>(options.score),
                     " does not say what a module is worth"));
  }
  if (!OnlyDrops(space)) {
    return absl::FailedPreconditionError(
        "\"drop-score\" scores modules alone: give --drop and --menu keep");
  }
  if (options.score != ModelScore::kWindows) return absl::OkStatus();
  const std::vector<size_t> modules = Modules(space);
  for (size_t m = 0; m < modules.size(); ++m) {
    const Unit& module = space.units[modules[m]];
    if (module.layers.size() < 2) {
      return absl::FailedPreconditionError(
          absl::StrCat("windows are runs of whole blocks, and \"", module.name,
                       "\" is less: give --drop block"));
    }
    if (input.scores[modules[m]].size() < modules.size() - m) {
      return absl::InvalidArgumentError(absl::StrCat(
          "windows from \"", module.name, "\" are scored up to ",
          input.scores[modules[m]].size(), " blocks of ", modules.size() - m));
    }
  }
  return absl::OkStatus();
}

int64_t PlannedSamples(const StrategyInput&, const DropScoreOptions&) {
  return 0;
}

std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const DropScoreOptions& options,
                                      StrategyIdentity identity) {
  return std::make_unique<DropScore>(std::move(input), options,
                                     std::move(identity));
}

}  // namespace evopress::search
