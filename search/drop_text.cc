#include "search/drop_text.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace evopress::search {
namespace {

// By (attention dropped) + 2 (MLP dropped).
constexpr std::array<const char*, 4> kWords = {"none", "attn", "mlp",
                                               "attn+mlp"};
constexpr int kNoBlock = -1;
constexpr int kMaxBlocks = 100'000;

// The first number among the dotted parts of a name.
int BlockOf(const std::string& name) {
  int block = kNoBlock;
  for (const absl::string_view part : absl::StrSplit(name, '.')) {
    int number = 0;
    if (absl::SimpleAtoi(part, &number) && number >= 0 && number < kMaxBlocks &&
        block == kNoBlock) {
      block = number;
    }
  }
  return block;
}

int BitOf(const std::string& module) {
  return module.substr(module.rfind('.') + 1) == "self_attn" ? 1 : 2;
}

struct Part {
  size_t unit = 0;
  int bit = 0;
};

// The modules of every block; blocks without one are there, empty.
absl::StatusOr<std::vector<std::vector<Part>>> PartsOfBlocks(
    const SearchSpace& space) {
  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  std::vector<std::vector<Part>> blocks;
  for (size_t u = 0; u < space.units.size(); ++u) {
    for (const std::string& layer : space.units[u].layers) {
      const int block = BlockOf(layer);
      if (block == kNoBlock) {
        if (members[u].empty()) continue;
        return absl::InvalidArgumentError(
            absl::StrCat("module \"", layer, "\" lies in no numbered block"));
      }
      blocks.resize(std::max<size_t>(blocks.size(), block + 1));
      if (!members[u].empty()) blocks[block].push_back({u, BitOf(layer)});
    }
  }
  return blocks;
}

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  for (const absl::string_view raw : absl::StrSplit(text, '\n')) {
    lines.emplace_back(absl::StripAsciiWhitespace(raw));
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

int MaskOf(const std::string& word) {
  const auto found = std::find(kWords.begin(), kWords.end(), word);
  return found == kWords.end() ? -1 : static_cast<int>(found - kWords.begin());
}

}  // namespace

bool IsDropText(const std::string& text) {
  for (const std::string& line : LinesOf(text)) {
    if (!line.empty()) return MaskOf(line) >= 0;
  }
  return false;
}

bool OnlyDrops(const SearchSpace& space) {
  const std::vector<std::vector<size_t>> members = MembersOfModules(space);
  bool any = false;
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (members[u].empty() && space.units[u].menu.size() > 1) return false;
    any = any || !members[u].empty();
  }
  return any;
}

absl::StatusOr<std::string> FormatDrops(const SearchSpace& space,
                                        const Assignment& assignment) {
  const auto blocks = PartsOfBlocks(space);
  if (!blocks.ok()) return blocks.status();
  std::string text;
  for (const std::vector<Part>& parts : *blocks) {
    int mask = 0;
    for (const Part& part : parts) {
      if (assignment.levels[part.unit] == kDropped) mask |= part.bit;
    }
    absl::StrAppend(&text, kWords[mask], "\n");
  }
  return text;
}

absl::StatusOr<Assignment> ParseDrops(const SearchSpace& space,
                                      const std::string& text) {
  if (!OnlyDrops(space)) {
    return absl::InvalidArgumentError(
        "a text of dropped modules says nothing about layers; give it with "
        "--drop and a menu of one level, e.g. keep");
  }
  const auto blocks = PartsOfBlocks(space);
  if (!blocks.ok()) return blocks.status();
  const std::vector<std::string> lines = LinesOf(text);
  if (lines.size() != blocks->size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the text has ", lines.size(), " lines, the model ",
                     blocks->size(), " blocks; give one line a block"));
  }
  Assignment assignment = Dearest(space);
  for (size_t block = 0; block < lines.size(); ++block) {
    const int mask = MaskOf(lines[block]);
    if (mask < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", block + 1, ": \"", lines[block].substr(0, 64),
                       "\" is not none, attn, mlp or attn+mlp"));
    }
    int left = mask;
    std::set<size_t> kept;
    for (const Part& part : (*blocks)[block]) {
      left &= ~part.bit;
      if ((mask & part.bit) == 0) {
        kept.insert(part.unit);
      } else {
        assignment.levels[part.unit] = kDropped;
      }
    }
    if (left != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", block + 1, ": \"", kWords[left],
                       "\" of this block cannot be dropped here"));
    }
    for (size_t unit : kept) {
      if (assignment.levels[unit] != kDropped) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("line ", block + 1,
                       ": attention and MLP are dropped together or not at "
                       "all here"));
    }
  }
  return Canonical(space, std::move(assignment));
}

}  // namespace evopress::search
