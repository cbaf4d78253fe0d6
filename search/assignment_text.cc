#include "search/assignment_text.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "search/drop_text.h"
#include "search/level_name.h"

namespace evopress::search {
namespace {

std::optional<int> NominalBits(const LevelChoice& level) {
  const absl::StatusOr<LevelName> name = ParseLevel(level.name);
  if (!name.ok() || name->sparsity.kind != Sparsity::Kind::kNone) {
    return std::nullopt;  // bits do not say which weights are left
  }
  return name->bits;
}

std::vector<int> LevelsOfBits(const Unit& unit, int bits) {
  std::vector<int> levels;
  for (size_t l = 0; l < unit.menu.size(); ++l) {
    if (NominalBits(unit.menu[l]) == bits) levels.push_back(l);
  }
  return levels;
}

template <typename Value>
std::string Lines(const SearchSpace& space, const Assignment& assignment,
                  Value value) {
  std::string text;
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (!IsActive(space, assignment, u)) continue;
    const Unit& unit = space.units[u];
    const std::string shown = value(u);
    // A unit without a list of layers is a layer itself.
    if (unit.layers.empty())
      absl::StrAppend(&text, unit.name, ": ", shown, "\n");
    for (const std::string& layer : unit.layers) {
      absl::StrAppend(&text, layer, ": ", shown, "\n");
    }
  }
  return text;
}

bool IsNumber(const std::string& text) {
  return !text.empty() && text.size() <= 3 &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

absl::StatusOr<int> FindValue(const Unit& unit, const std::string& value) {
  if (IsNumber(value)) {
    int bits = 0;
    if (!absl::SimpleAtoi(value, &bits)) bits = -1;
    const std::vector<int> levels = LevelsOfBits(unit, bits);
    if (levels.size() == 1) return levels[0];
    return absl::InvalidArgumentError(
        absl::StrCat("unit \"", unit.name, "\" has ", levels.size(),
                     " levels of ", value, " bits; give a full level name"));
  }
  const absl::StatusOr<LevelName> name = ParseLevel(value);
  return FindLevel(unit, name.ok() ? Format(*name) : value);
}

absl::Status AtLine(size_t line, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", what));
}

}  // namespace

std::string FormatLevels(const SearchSpace& space,
                         const Assignment& assignment) {
  return Lines(space, assignment, [&](size_t u) {
    return space.units[u].menu[assignment.levels[u]].name;
  });
}

absl::StatusOr<std::string> FormatNominalBits(const SearchSpace& space,
                                              const Assignment& assignment) {
  std::vector<std::string> values;
  for (size_t u = 0; u < space.units.size(); ++u) {
    const Unit& unit = space.units[u];
    const LevelChoice& level = unit.menu[assignment.levels[u]];
    const std::optional<int> bits = NominalBits(level);
    if (!bits.has_value() || LevelsOfBits(unit, *bits).size() != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("level \"", level.name, "\" of unit \"", unit.name,
                       "\" is not named by its bits alone"));
    }
    values.push_back(absl::StrCat(*bits));
  }
  return Lines(space, assignment, [&](size_t u) { return values[u]; });
}

absl::StatusOr<Assignment> ParseAssignment(const SearchSpace& space,
                                           const std::string& text) {
  if (text.size() > kMaxAssignmentText) {
    return absl::InvalidArgumentError(
        absl::StrCat("assignment text of ", text.size(), " bytes exceeds ",
                     kMaxAssignmentText));
  }
  if (IsDropText(text)) return ParseDrops(space, text);
  std::unordered_map<std::string, size_t> owner;
  for (size_t u = 0; u < space.units.size(); ++u) {
    owner.emplace(space.units[u].name, u);
    for (const std::string& layer : space.units[u].layers) {
      owner.emplace(layer, u);
    }
  }
  std::vector<std::optional<int>> chosen(space.units.size());
  std::set<std::string> seen;
  size_t number = 0;
  for (const absl::string_view raw : absl::StrSplit(text, '\n')) {
    ++number;
    const std::string line(absl::StripAsciiWhitespace(raw));
    if (line.empty() || line[0] == '#') continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) {
      return AtLine(number, "expected \"<layer>: <level>\"");
    }
    const std::string layer(absl::StripAsciiWhitespace(line.substr(0, colon)));
    const std::string value(absl::StripAsciiWhitespace(line.substr(colon + 1)));
    const auto found = owner.find(layer);
    if (found == owner.end()) {
      return AtLine(number,
                    std::string(FindUnit(space, layer).status().message()));
    }
    if (!seen.insert(layer).second) {
      return AtLine(number, absl::StrCat("\"", layer, "\" is named twice"));
    }
    const absl::StatusOr<int> level =
        FindValue(space.units[found->second], value);
    if (!level.ok()) {
      return AtLine(number, std::string(level.status().message()));
    }
    std::optional<int>& choice = chosen[found->second];
    if (choice.has_value() && *choice != *level) {
      return AtLine(number, absl::StrCat("\"", layer,
                                         "\" differs from a layer that it is "
                                         "tied to"));
    }
    choice = *level;
  }
  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  const auto dropped = [&](int unit) {
    return unit != kNoModule && chosen[unit] == kDropped;
  };
  Assignment assignment;
  for (size_t u = 0; u < space.units.size(); ++u) {
    const Unit& unit = space.units[u];
    if (!members[u].empty()) chosen[u] = chosen[u].value_or(kKept);
    if (!chosen[u].has_value() && unit.menu.size() > 1 &&
        !dropped(unit.module)) {
      return absl::InvalidArgumentError(
          absl::StrCat("no level given for \"", unit.name, "\""));
    }
    assignment.levels.push_back(static_cast<uint16_t>(chosen[u].value_or(0)));
  }
  return Canonical(space, std::move(assignment));
}

}  // namespace evopress::search
