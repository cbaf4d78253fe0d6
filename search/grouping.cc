#include "search/grouping.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace evopress::search {
namespace {

constexpr size_t kMaxWildcards = 8;  // matching backtracks: keep it small

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Matches pattern[p…] against name[n…]; `numbers` collects what '#' matched.
bool MatchFrom(const std::string& pattern, size_t p, const std::string& name,
               size_t n, std::vector<std::string>& numbers) {
  for (; p < pattern.size(); ++p) {
    if (pattern[p] == '*') {
      for (size_t end = n; end <= name.size(); ++end) {
        if (MatchFrom(pattern, p + 1, name, end, numbers)) return true;
      }
      return false;
    }
    if (pattern[p] == '#') {
      size_t end = n;
      while (end < name.size() && IsDigit(name[end])) ++end;
      if (end == n) return false;
      numbers.push_back(name.substr(n, end - n));
      if (MatchFrom(pattern, p + 1, name, end, numbers)) return true;
      numbers.pop_back();
      return false;
    }
    if (n == name.size() || name[n] != pattern[p]) return false;
    ++n;
  }
  return n == name.size();
}

absl::Status CheckPattern(const std::string& pattern) {
  if (std::count(pattern.begin(), pattern.end(), '*') <=
      static_cast<std::ptrdiff_t>(kMaxWildcards)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "pattern \"", pattern, "\" has more than ", kMaxWildcards, " wildcards"));
}

std::optional<std::vector<std::string>> Match(const std::string& pattern,
                                              const std::string& name) {
  std::vector<std::string> numbers;
  if (!MatchFrom(pattern, 0, name, 0, numbers)) return std::nullopt;
  return numbers;
}

// Adds `other`'s levels to the merged unit: the shared ones, costs summed.
absl::Status MergeInto(Unit& merged, const Unit& other) {
  std::vector<LevelChoice> shared;
  for (LevelChoice& level : merged.menu) {
    const absl::StatusOr<int> found = FindLevel(other, level.name);
    if (!found.ok()) continue;
    const std::vector<int64_t>& costs = other.menu[*found].costs;
    if (costs.size() != level.costs.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("units \"", merged.name, "\" and \"", other.name,
                       "\" differ in their number of costs"));
    }
    for (size_t k = 0; k < costs.size(); ++k) {
      if (__builtin_add_overflow(level.costs[k], costs[k], &level.costs[k])) {
        return absl::InvalidArgumentError(
            absl::StrCat("tied costs exceed 64 bits at \"", other.name, "\""));
      }
    }
    shared.push_back(std::move(level));
  }
  if (shared.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("tied units \"", merged.name, "\" and \"", other.name,
                     "\" have no level in common"));
  }
  merged.menu = std::move(shared);
  if (__builtin_add_overflow(merged.weights, other.weights, &merged.weights)) {
    return absl::InvalidArgumentError(
        absl::StrCat("tied weights exceed 64 bits at \"", other.name, "\""));
  }
  merged.layers.insert(merged.layers.end(), other.layers.begin(),
                       other.layers.end());
  return absl::OkStatus();
}

// leader[u]: the first unit of u's set.
absl::StatusOr<std::vector<size_t>> FindLeaders(
    const std::vector<Tie>& ties, const std::vector<Unit>& units) {
  std::vector<size_t> leader(units.size());
  for (size_t u = 0; u < units.size(); ++u) leader[u] = u;
  std::vector<bool> tied(units.size());
  for (const Tie& tie : ties) {
    std::map<std::vector<std::string>, std::vector<size_t>> sets;
    for (const std::string& pattern : tie.patterns) {
      if (absl::Status s = CheckPattern(pattern); !s.ok()) return s;
      bool matched = false;
      for (size_t u = 0; u < units.size(); ++u) {
        const auto numbers = Match(pattern, units[u].name);
        if (!numbers.has_value()) continue;
        matched = true;
        if (tied[u]) {
          return absl::InvalidArgumentError(
              absl::StrCat("unit \"", units[u].name, "\" is tied twice"));
        }
        tied[u] = true;
        sets[*numbers].push_back(u);
      }
      if (!matched) {
        return absl::InvalidArgumentError(
            absl::StrCat("tie pattern \"", pattern, "\" matches no unit"));
      }
    }
    for (auto& [numbers, members] : sets) {
      const size_t first = *std::min_element(members.begin(), members.end());
      for (size_t u : members) leader[u] = first;
    }
  }
  return leader;
}

}  // namespace

absl::StatusOr<bool> MatchesPattern(const std::string& pattern,
                                    const std::string& name) {
  if (absl::Status s = CheckPattern(pattern); !s.ok()) return s;
  return Match(pattern, name).has_value();
}

absl::StatusOr<GroupRule> ParseGroupRule(const std::string& text) {
  if (text == "size") return GroupRule::kSize;
  if (text == "name") return GroupRule::kName;
  if (text == "none") return GroupRule::kNone;
  return absl::InvalidArgumentError(absl::StrCat(
      "group rule \"", text.substr(0, 64), "\" is not size, name or none"));
}

std::string Format(GroupRule rule) {
  switch (rule) {
    case GroupRule::kSize:
      return "size";
    case GroupRule::kName:
      return "name";
    case GroupRule::kNone:
      return "none";
  }
  return "none";
}

std::string RoleName(const std::string& unit_name) {
  const std::vector<std::string> parts = absl::StrSplit(unit_name, '.');
  size_t start = 0;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    if (!parts[i].empty() &&
        std::all_of(parts[i].begin(), parts[i].end(), IsDigit)) {
      start = i + 1;
    }
  }
  std::string role = parts[start];
  for (size_t i = start + 1; i < parts.size(); ++i) {
    absl::StrAppend(&role, ".", parts[i]);
  }
  return role;
}

void AssignGroups(GroupRule rule, std::vector<Unit>& units) {
  for (Unit& unit : units) {
    switch (rule) {
      case GroupRule::kSize:
        unit.group = absl::StrCat(unit.weights);
        break;
      case GroupRule::kName:
        unit.group = RoleName(unit.name);
        break;
      case GroupRule::kNone:
        unit.group.clear();
        break;
    }
  }
}

absl::Status ApplyTies(const std::vector<Tie>& ties, std::vector<Unit>& units) {
  const auto leader = FindLeaders(ties, units);
  if (!leader.ok()) return leader.status();
  std::map<size_t, Unit> merged;
  std::map<size_t, int> others;
  for (size_t u = 0; u < units.size(); ++u) {
    const size_t first = (*leader)[u];
    if (first == u) {
      merged.emplace(u, units[u]);
      continue;
    }
    const absl::Status status = MergeInto(merged.at(first), units[u]);
    if (!status.ok()) return status;
    ++others[first];
  }
  units.clear();
  for (auto& [first, unit] : merged) {
    if (others.count(first) > 0)
      absl::StrAppend(&unit.name, "+", others[first]);
    units.push_back(std::move(unit));
  }
  return absl::OkStatus();
}

}  // namespace evopress::search
