#include "search/brute_force.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
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

// All assignments in lexicographic order, with their costs at hand: a step
// looks only at what it changes.
class Enumeration {
 public:
  // At the first assignment. REQUIRES: at most kMaxBruteForce of them.
  explicit Enumeration(const SearchSpace& space)
      : space_(&space),
        members_(MembersOfModules(space)),
        shares_(GroupShares(space)),
        group_(space.units.size()) {
    for (size_t g = 0; g < shares_.size(); ++g) {
      for (size_t u : shares_[g].units) group_[u] = g;
    }
    std::set<size_t> open;
    for (size_t u = 0; u < space.units.size(); ++u) {
      if (space.units[u].menu.size() < 2) continue;
      choices_.push_back(u);
      open.insert(group_[u]);
    }
    open_.assign(open.begin(), open.end());
    const Assignment first{std::vector<uint16_t>(space.units.size(), 0)};
    MoveTo(first);
    for (most_ = spent_; !ended_; Advance()) {
      for (size_t g : open_) {
        if (spent_[g] <= shares_[g].limit) {
          most_[g] = std::max(most_[g], spent_[g]);
        }
      }
    }
    const int kind = SteeringKind(space);
    rest_ = space.budgets[0].limit - space.constant_costs[kind];
    for (int64_t most : most_) rest_ -= most;
    MoveTo(first);
  }

  // REQUIRES: `assignment` in the space.
  void MoveTo(const Assignment& assignment, bool ended = false) {
    current_ = assignment;
    ended_ = ended;
    costs_ = space_->constant_costs;
    spent_.assign(shares_.size(), 0);
    stray_ = 0;
    for (size_t u = 0; u < group_.size(); ++u) Count(u, 1);
  }

  const Assignment& current() const { return current_; }
  bool ended() const { return ended_; }

  // By budgets and groups; of equal phenotypes only the canonical assignment.
  bool Allowed() const {
    if (stray_ > 0) return false;
    for (const Budget& budget : space_->budgets) {
      if (costs_[budget.kind] > budget.limit) return false;
    }
    for (size_t g : open_) {
      if (spent_[g] > most_[g] + rest_) return false;
    }
    return true;
  }

  void Advance() {
    for (size_t i = choices_.size(); i-- > 0;) {
      const size_t u = choices_[i];
      const size_t next = current_.levels[u] + size_t{1};
      if (next < space_->units[u].menu.size()) {
        Set(u, static_cast<uint16_t>(next));
        return;
      }
      Set(u, 0);
    }
    ended_ = true;
  }

 private:
  const LevelChoice& Level(size_t u) const {
    return space_->units[u].menu[current_.levels[u]];
  }

  void Set(size_t u, uint16_t level) {
    Count(u, -1);
    for (size_t m : members_[u]) Count(m, -1);
    current_.levels[u] = level;
    Count(u, 1);
    for (size_t m : members_[u]) Count(m, 1);
  }

  // Adds what unit u costs now, `times` 1 or -1.
  void Count(size_t u, int times) {
    if (!IsActive(*space_, current_, u)) {
      if (current_.levels[u] != 0) stray_ += times;
      return;
    }
    const std::vector<int64_t>& costs = Level(u).costs;
    for (size_t k = 0; k < costs_.size(); ++k) costs_[k] += times * costs[k];
    spent_[group_[u]] += times * costs[SteeringKind(*space_)];
  }

  const SearchSpace* space_;
  std::vector<std::vector<size_t>> members_;  // of modules
  std::vector<GroupShare> shares_;
  std::vector<size_t> group_;    // [u]: index of its share
  std::vector<size_t> choices_;  // units with more than one level
  std::vector<size_t> open_;     // groups that have such units
  std::vector<int64_t> most_;    // that a group can spend within its share
  int64_t rest_ = 0;             // what the shares cannot spend
  Assignment current_;
  std::vector<int64_t> costs_;  // of each kind
  std::vector<int64_t> spent_;  // by each group
  int stray_ = 0;               // inactive units that are not at level 0
  bool ended_ = false;
};

class BruteForce : public StepwiseStrategy {
 public:
  BruteForce(StrategyInput input, const BruteForceOptions& options,
             StrategyIdentity identity)
      : StepwiseStrategy(std::move(input), std::move(identity)),
        options_(options),
        enumeration_(space()) {}

 private:
  absl::StatusOr<Step> First() override {
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

  // Up to kRoundAssignments allowed ones from where the enumeration stands.
  std::vector<Assignment> NextAssignments() {
    std::vector<Assignment> allowed;
    for (; !enumeration_.ended() && allowed.size() < kRoundAssignments;
         enumeration_.Advance()) {
      if (enumeration_.Allowed()) allowed.push_back(enumeration_.current());
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
    return {{"ended", enumeration_.ended()},
            {"next", enumeration_.current().levels}};
  }

  absl::Status LoadState(const nlohmann::json& state) override {
    const Assignment next{state.at("next").get<std::vector<uint16_t>>()};
    const absl::Status valid = Validate(space(), next);
    if (!valid.ok()) return absl::DataLossError(valid.ToString());
    enumeration_.MoveTo(next, state.at("ended").get<bool>());
    return absl::OkStatus();
  }

  const BruteForceOptions options_;
  Enumeration enumeration_;  // at the first assignment not yet looked at
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
  int64_t allowed = 0;
  for (Enumeration all(input.space); !all.ended(); all.Advance()) {
    if (all.Allowed()) ++allowed;
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
