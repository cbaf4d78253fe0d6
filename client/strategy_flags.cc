#include "client/strategy_flags.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace evopress::client {
namespace {

struct Entry {
  std::string flag;
  std::vector<std::string> strategies;
};

const std::vector<Entry>& Table() {
  static const auto& table = *new std::vector<Entry>{
      {"--generations", {"evopress", "subnet-ga", "policy-gradient"}},
      {"--offspring", {"evopress", "subnet-ga", "policy-gradient", "random"}},
      {"--survivors", {"evopress"}},
      {"--tokens",
       {"guided", "evopress", "subnet-ga", "policy-gradient", "random",
        "greedy", "weighted-dp", "brute-force", "drop-kl", "drop-ppl"}},
      {"--fitness",
       {"guided", "evopress", "subnet-ga", "policy-gradient", "random",
        "greedy", "weighted-dp", "brute-force"}},
      {"--races", {"guided"}},
      {"--candidates", {"guided"}},
      {"--decision-tokens", {"guided"}},
      {"--anchor", {"guided"}},
      {"--learning-rate", {"policy-gradient"}},
      {"--parents", {"subnet-ga"}},
      {"--crossovers", {"subnet-ga"}},
      {"--mutation-rate", {"subnet-ga"}},
      {"--owl-lambda", {"owl"}}};
  return table;
}

const Entry* Find(const std::string& flag) {
  const auto found =
      std::find_if(Table().begin(), Table().end(),
                   [&](const Entry& entry) { return entry.flag == flag; });
  return found == Table().end() ? nullptr : &*found;
}

}  // namespace

std::vector<std::string> FlagsOfStrategies() {
  std::vector<std::string> flags;
  for (const Entry& entry : Table()) flags.push_back(entry.flag);
  return flags;
}

std::string UsersOf(const std::string& flag) {
  const Entry* const entry = Find(flag);
  return entry == nullptr ? "" : absl::StrJoin(entry->strategies, ", ");
}

absl::Status CheckFlagsOfStrategy(const std::string& strategy,
                                  const std::vector<std::string>& given) {
  for (const std::string& flag : given) {
    const Entry* const entry = Find(flag);
    if (entry == nullptr || std::count(entry->strategies.begin(),
                                       entry->strategies.end(), strategy) > 0) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "--strategy ", strategy, " has no use for ", flag, ", which is for ",
        UsersOf(flag), "; leave it out or name one of these"));
  }
  return absl::OkStatus();
}

}  // namespace evopress::client
