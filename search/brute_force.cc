#include "search/brute_force.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "search/group_shares.h"

namespace evopress::search {
namespace {

constexpr int64_t kTooMany = std::numeric_limits<int64_t>::max();

// Of the space, within the budgets or not; kTooMany if beyond int64.
int64_t CountAssignments(const SearchSpace& space) {
  int64_t count = 1;
  for (const Unit& unit : space.units) {
    const int64_t levels = static_cast<int64_t>(unit.menu.size());
    if (__builtin_mul_overflow(count, levels, &count)) return kTooMany;
  }
  return count;
}

// The next in lexicographic order; none after the last.
std::optional<Assignment> Successor(const SearchSpace& space,
                                    Assignment assignment) {
  for (size_t u = space.units.size(); u-- > 0;) {
    if (++assignment.levels[u] < space.units[u].menu.size()) return assignment;
    assignment.levels[u] = 0;
  }
  return std::nullopt;
}

Assignment FirstAssignment(const SearchSpace& space) {
  return Assignment{std::vector<uint16_t>(space.units.size(), 0)};
}

// What budgets and groups allow.
class Rule {
 public:
  // REQUIRES: at most kMaxBruteForce assignments.
  explicit Rule(const SearchSpace& space)
      : space_(space), shares_(GroupShares(space)), most_(shares_.size()) {
    std::optional<Assignment> assignment = FirstAssignment(space);
    while (assignment.has_value()) {
      for (size_t g = 0; g < shares_.size(); ++g) {
        const int64_t spent = Spent(g, *assignment);
        if (spent <= shares_[g].limit) most_[g] = std::max(most_[g], spent);
      }
      assignment = Successor(space, *std::move(assignment));
    }
    const int kind = SteeringKind(space);
    rest_ = space.budgets[0].limit - space.constant_costs[kind];
    for (int64_t most : most_) rest_ -= most;
  }

  bool Allows(const Assignment& assignment) const {
    if (!WithinBudgets(space_, assignment)) return false;
    for (size_t g = 0; g < shares_.size(); ++g) {
      if (Spent(g, assignment) > most_[g] + rest_) return false;
    }
    return true;
  }

 private:
  int64_t Spent(size_t group, const Assignment& assignment) const {
    const int kind = SteeringKind(space_);
    int64_t spent = 0;
    for (size_t u : shares_[group].units) {
      spent += space_.units[u].menu[assignment.levels[u]].costs[kind];
    }
    return spent;
  }

  const SearchSpace& space_;
  std::vector<GroupShare> shares_;
  std::vector<int64_t> most_;  // that a group can spend within its share
  int64_t rest_ = 0;           // what the shares cannot spend
};

class BruteForce : public StepwiseStrategy {
 public:
  BruteForce(StrategyInput input, const BruteForceOptions& options,
             StrategyIdentity identity)
      : StepwiseStrategy(std::move(input), std::move(identity)),
        options_(options),
        rule_(space()) {}

 private:
  absl::StatusOr<Step> First() override {
    next_ = FirstAssignment(space());
    std::vector<Assignment> assignments = NextAssignments();
    if (assignments.empty()) {
      return absl::FailedPreconditionError(
          "no assignment meets all budgets together");
    }
    incumbent_ = Incumbent{assignments.front(), std::nullopt};
    return Ask(std::move(assignments), DrawSamples(options_.samples));
  }

  absl::StatusOr<Step> Next(const Round& round,
                            const std::vector<double>& fitness) override {
    const size_t best = Ranking(fitness).front();
    if (!incumbent_->fitness.has_value() ||
        fitness[best] < *incumbent_->fitness) {
      incumbent_ = Incumbent{round.evaluations[best].assignment, fitness[best]};
    }
    std::vector<Assignment> assignments = NextAssignments();
    if (assignments.empty()) {
      return Finish(incumbent_->assignment, *incumbent_->fitness);
    }
    return Ask(std::move(assignments), round.evaluations[0].samples);
  }

  // Up to kRoundAssignments allowed ones from next_ on.
  std::vector<Assignment> NextAssignments() {
    std::vector<Assignment> allowed;
    while (next_.has_value() && allowed.size() < kRoundAssignments) {
      if (rule_.Allows(*next_)) allowed.push_back(*next_);
      next_ = Successor(space(), *std::move(next_));
    }
    return allowed;
  }

  Step Ask(std::vector<Assignment> assignments,
           const std::vector<int32_t>& samples) {
    std::string purpose =
        absl::StrCat("the next ", assignments.size(), " of all assignments");
    return NewRound(std::move(purpose), std::move(assignments), samples);
  }

  nlohmann::json SaveState() const override {
    if (!next_.has_value()) return nullptr;
    return next_->levels;
  }

  absl::Status LoadState(const nlohmann::json& state) override {
    next_.reset();
    if (state.is_null()) return absl::OkStatus();
    next_ = Assignment{state.get<std::vector<uint16_t>>()};
    const absl::Status valid = Validate(space(), *next_);
    return valid.ok() ? valid : absl::DataLossError(valid.ToString());
  }

  const BruteForceOptions options_;
  const Rule rule_;
  std::optional<Assignment> next_;  // the first not yet looked at
};

}  // namespace

absl::Status CheckOptions(const StrategyInput& input,
                          const BruteForceOptions& options) {
  const int64_t count = CountAssignments(input.space);
  if (count > kMaxBruteForce) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the space has ", count == kTooMany ? "more than " : "", count,
        " assignments; brute-force looks at ", kMaxBruteForce,
        " at most: tie layers, shorten the menu or use another strategy"));
  }
  return CheckSampleCount("samples", options.samples, input);
}

int64_t PlannedSamples(const StrategyInput& input,
                       const BruteForceOptions& options) {
  if (CountAssignments(input.space) > kMaxBruteForce) return kTooMany;
  const Rule rule(input.space);
  int64_t allowed = 0;
  std::optional<Assignment> assignment = FirstAssignment(input.space);
  while (assignment.has_value()) {
    if (rule.Allows(*assignment)) ++allowed;
    assignment = Successor(input.space, *std::move(assignment));
  }
  return allowed * options.samples;
}

std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const BruteForceOptions& options,
                                      StrategyIdentity identity) {
  return std::make_unique<BruteForce>(std::move(input), options,
                                      std::move(identity));
}

}  // namespace evopress::search
