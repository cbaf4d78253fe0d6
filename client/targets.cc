#include "client/targets.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace evopress::client {
namespace {

// The options that may be lists.
constexpr std::string BudgetOptions::*kLists[] = {
    &BudgetOptions::target_bits, &BudgetOptions::max_size,
    &BudgetOptions::target_sparsity, &BudgetOptions::drop_share,
    &BudgetOptions::max_modules};

}  // namespace

absl::StatusOr<std::vector<search::Target>> SetTargets(
    const BudgetOptions& options, search::SearchSpace& space) {
  std::string BudgetOptions::*list = nullptr;
  for (std::string BudgetOptions::*option : kLists) {
    if ((options.*option).find(',') == std::string::npos) continue;
    if (list != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("two lists of budgets, ", options.*list, " and ",
                       options.*option, ": only one can have a winner each"));
    }
    list = option;
  }
  if (list == nullptr) {
    const absl::Status set = SetBudgets(options, space);
    if (!set.ok()) return set;
    return std::vector<search::Target>();
  }
  std::vector<search::Target> targets;
  search::SearchSpace loosest;
  BudgetOptions one = options;
  for (const absl::string_view text : absl::StrSplit(options.*list, ',')) {
    one.*list = std::string(absl::StripAsciiWhitespace(text));
    if ((one.*list).empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the list of budgets \"", options.*list, "\" has an empty entry"));
    }
    search::SearchSpace tried = space;
    if (absl::Status s = SetBudgets(one, tried); !s.ok()) return s;
    targets.push_back({one.*list, tried.budgets[0].limit});
    if (targets.size() > 1 && targets[0].limit == tried.budgets[0].limit) {
      return absl::InvalidArgumentError(
          absl::StrCat("the list of budgets \"", options.*list,
                       "\" must be of different limits of the first budget, ",
                       tried.cost_kinds[tried.budgets[0].kind]));
    }
    if (loosest.budgets.empty() ||
        loosest.budgets[0].limit < tried.budgets[0].limit) {
      loosest = std::move(tried);
    }
  }
  space = std::move(loosest);
  return targets;
}

std::vector<search::SearchSpace> SpacesOf(
    const search::SearchSpace& space,
    const std::vector<search::Target>& targets) {
  if (targets.empty()) return {space};
  std::vector<search::SearchSpace> spaces(targets.size(), space);
  for (size_t t = 0; t < targets.size(); ++t) {
    spaces[t].budgets[0].limit = targets[t].limit;
  }
  return spaces;
}

absl::Status CheckTargets(const search::SearchSpace& space,
                          const std::vector<search::Target>& targets) {
  for (const search::SearchSpace& one : SpacesOf(space, targets)) {
    if (absl::Status s = CheckBudgets(one); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace evopress::client
