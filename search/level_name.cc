#include "search/level_name.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace evopress::search {
namespace {

constexpr int kMinBits = 2;
constexpr int kMaxBits = 8;
constexpr int kMaxGroupSize = 65536;
constexpr size_t kMaxText = 4096;
constexpr size_t kMaxLevels = 256;
constexpr int kMaxSteps = 100;
constexpr char kSteps[] = "steps";

struct BitsRange {
  int from = 0;
  int to = 0;
};

bool IsDigits(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c >= '0' && c <= '9';
  });
}

// A plain number without sign or spaces; nullopt if it is none or too large.
std::optional<int> ParseNumber(const std::string& text) {
  int value = 0;
  if (!IsDigits(text) || !absl::SimpleAtoi(text, &value)) return std::nullopt;
  return value;
}

absl::Status Bad(const std::string& word, const std::string& where,
                 const std::string& legal) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", word.substr(0, 64), "\" in level \"",
                   where.substr(0, 128), "\": ", legal));
}

// "b3", and in menus also "b2-6" and, where they are `bare`, "2-6" and "3".
// Nullopt if `word` is no width at all.
std::optional<absl::StatusOr<BitsRange>> ParseBits(const std::string& word,
                                                   const std::string& where,
                                                   bool menu, bool bare) {
  const bool prefixed = word[0] == 'b';
  if (!prefixed && !(menu && bare && word[0] >= '0' && word[0] <= '9')) {
    return std::nullopt;
  }
  const std::vector<std::string> ends =
      absl::StrSplit(word.substr(prefixed ? 1 : 0), '-');
  const std::optional<int> from = ParseNumber(ends[0]);
  const std::optional<int> to = ParseNumber(ends.back());
  if (ends.size() > (menu ? 2 : 1) || !from.has_value() || !to.has_value() ||
      *from < kMinBits || *to > kMaxBits || *from > *to) {
    return Bad(word, where,
               absl::StrCat("widths are b", kMinBits, "…b", kMaxBits,
                            menu ? ", or a rising range such as b2-6" : ""));
  }
  return BitsRange{*from, *to};
}

absl::Status Once(bool& seen, const std::string& word,
                  const std::string& where) {
  if (std::exchange(seen, true)) return Bad(word, where, "given twice");
  return absl::OkStatus();
}

bool IsQuantizer(const std::string& method) {
  return method == "rtn" || method == "gptq";
}

bool IsPruner(const std::string& method) {
  return method == "sparsegpt" || method == "wanda" || method == "magnitude" ||
         method == "admm";
}

// "2:4" is one sparsity in two words.
void JoinPattern(std::vector<std::string>& words) {
  if (words.size() < 3 || !IsDigits(words[1]) || !IsDigits(words[2])) return;
  absl::StrAppend(&words[1], "of", words[2]);
  words.erase(words.begin() + 2);
}

// "30-70/10", in millionths.
std::vector<Sparsity> ParsePercentRange(const std::string& word) {
  const size_t dash = word.find('-');
  const size_t slash = word.find('/');
  if (dash == std::string::npos || slash == std::string::npos || slash < dash) {
    return {};
  }
  const auto from = ParsePercent(word.substr(0, dash));
  const auto to = ParsePercent(word.substr(dash + 1, slash - dash - 1));
  const auto step = ParsePercent(word.substr(slash + 1));
  std::vector<Sparsity> range;
  if (!from.has_value() || !to.has_value() || step.value_or(0) == 0) return {};
  for (int64_t share = *from; share <= *to && range.size() <= kMaxLevels;
       share += *step) {
    range.push_back({Sparsity::Kind::kShare, share, 0});
  }
  return range;
}

absl::StatusOr<std::vector<Sparsity>> ParseSparsities(
    const std::vector<std::string>& words, const std::string& where,
    bool menu) {
  const std::string word = words.size() > 1 ? words[1] : "";
  if (const auto single = ParseSparsity(word)) return std::vector{*single};
  std::vector<Sparsity> range;
  if (menu) range = ParsePercentRange(word);
  if (!range.empty()) return range;
  return Bad(word, where,
             absl::StrCat("the first option is a sparsity: percent (50, 12.5), "
                          "zeros (z165888) or kept weights of up to ",
                          kMaxPatternGroup, " neighbours (2of4)",
                          menu ? ", or a rising range such as 30-70/10" : ""));
}

// Replaces the one sparsity by it and up to N steps of Z zeros to either side
// ("stepsNxZ"); what a layer of `weights` does not have is left out, so that
// all steps stay equal.
absl::Status ExpandSteps(const std::string& word, const std::string& where,
                         int64_t weights, std::vector<Sparsity>& sparsities) {
  const std::vector<std::string> parts =
      absl::StrSplit(word.substr(sizeof(kSteps) - 1), 'x');
  const std::optional<int> count = ParseNumber(parts[0]);
  const std::optional<int> size = ParseNumber(parts.back());
  if (parts.size() != 2 || !count.has_value() || !size.has_value() ||
      *count < 1 || *count > kMaxSteps || *size < 1) {
    return Bad(word, where,
               absl::StrCat("steps are steps1x1…steps", kMaxSteps,
                            "xZ, e.g. steps4x16384"));
  }
  if (sparsities.size() != 1 ||
      sparsities[0].kind == Sparsity::Kind::kPattern) {
    return Bad(word, where, "steps start from one percentage or count");
  }
  const absl::StatusOr<int64_t> base = ZerosOf(sparsities[0], weights);
  if (!base.ok()) return base.status();
  for (int64_t step = -*count; step <= *count; ++step) {
    const int64_t zeros = *base + step * *size;
    if (step == 0 || zeros < 0 || zeros > weights) continue;
    sparsities.push_back({Sparsity::Kind::kCount, zeros, 0});
  }
  return absl::OkStatus();
}

// One level; with `weights`, which makes it an entry of a menu, maybe several.
absl::StatusOr<std::vector<LevelName>> ParseEntry(
    const std::string& text, std::optional<int64_t> weights) {
  const bool menu = weights.has_value();
  std::vector<std::string> words = absl::StrSplit(text, ':');
  LevelName level;
  level.method = words[0];
  if (level.method == "keep" || level.method == "drop") {
    if (words.size() > 1) {
      return Bad(words[1], text, "keep and drop take no options");
    }
    if (level.method == "drop") level.bits = 0;
    return std::vector<LevelName>{level};
  }
  const bool pruner = IsPruner(level.method);
  if (!pruner && !IsQuantizer(level.method)) {
    return Bad(level.method, text,
               "methods are keep, drop, rtn, gptq, sparsegpt, wanda, "
               "magnitude, admm");
  }
  std::vector<Sparsity> sparsities(1);
  if (pruner) {
    JoinPattern(words);
    auto parsed = ParseSparsities(words, text, menu);
    if (!parsed.ok()) return parsed.status();
    sparsities = *std::move(parsed);
  }
  std::optional<BitsRange> bits;
  bool group = false, symmetry = false, order = false, search = false;
  bool steps = false;
  for (size_t i = pruner ? 2 : 1; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word.empty()) return Bad(word, text, "an option is empty");
    absl::Status status;
    if (word == "sym" || word == "asym") {
      status = Once(symmetry, word, text);
      level.symmetric = word == "sym";
    } else if (word == "actorder") {
      status = Once(order, word, text);
      level.act_order = true;
    } else if (word == "search") {
      status = Once(search, word, text);
      level.scale_search = true;
    } else if (menu && pruner && absl::StartsWith(word, kSteps)) {
      status = Once(steps, word, text);
      if (status.ok()) status = ExpandSteps(word, text, *weights, sparsities);
    } else if (word[0] == 'g') {
      status = Once(group, word, text);
      const std::optional<int> size = ParseNumber(word.substr(1));
      if (!size.has_value() || *size > kMaxGroupSize) {
        return Bad(word, text,
                   absl::StrCat("group sizes are g1…g", kMaxGroupSize,
                                ", or g0 for whole rows"));
      }
      level.group_size = *size;
    } else if (auto range = ParseBits(word, text, menu, !pruner)) {
      if (!range->ok()) return range->status();
      if (bits.has_value()) return Bad(word, text, "a second width");
      bits = **range;
    } else {
      return Bad(word, text,
                 pruner && menu
                     ? "options are bN, gN, sym, asym, search, stepsNxZ"
                 : pruner ? "options are bN, gN, sym, asym, search"
                          : "options are bN, gN, sym, asym, actorder, search");
    }
    if (!status.ok()) return status;
  }
  if (!bits.has_value() && !(pruner && !group && !symmetry && !search)) {
    return Bad(level.method, text, "needs a width such as b4");
  }
  if (level.act_order && level.method != "gptq") {
    return Bad("actorder", text, "is for gptq only");
  }
  std::vector<LevelName> levels;
  for (const Sparsity& sparsity : sparsities) {
    level.sparsity = sparsity;
    const BitsRange range = bits.value_or(BitsRange{level.bits, level.bits});
    for (int width = range.from; width <= range.to; ++width) {
      level.bits = width;
      levels.push_back(level);
    }
  }
  return levels;
}

// A level and where it stands in a menu: by the bits of the weights that it
// keeps. Larger groups are cheaper; whole rows cheapest.
using MenuPlace = std::tuple<__int128, int, std::string>;

absl::StatusOr<MenuPlace> PlaceInMenu(const LevelName& level, int64_t weights) {
  const absl::StatusOr<int64_t> zeros = ZerosOf(level.sparsity, weights);
  if (!zeros.ok()) return zeros.status();
  const int group = level.group_size == 0 ? std::numeric_limits<int>::max()
                                          : level.group_size;
  return MenuPlace(static_cast<__int128>(weights - *zeros) * level.bits, -group,
                   Format(level));
}

absl::Status CheckLength(const std::string& text) {
  if (text.size() <= kMaxText) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("level text of ", text.size(), " bytes exceeds ", kMaxText));
}

}  // namespace

absl::StatusOr<LevelName> ParseLevel(const std::string& text) {
  const absl::Status length = CheckLength(text);
  if (!length.ok()) return length;
  absl::StatusOr<std::vector<LevelName>> levels =
      ParseEntry(text, std::nullopt);
  if (!levels.ok()) return levels.status();
  return levels->front();
}

std::string Format(const LevelName& level) {
  if (level.method == "keep" || level.method == "drop") return level.method;
  std::string text = level.method;
  if (level.sparsity.kind != Sparsity::Kind::kNone) {
    absl::StrAppend(&text, ":", Format(level.sparsity));
    if (level.bits == LevelName().bits) return text;
  }
  absl::StrAppend(&text, ":b", level.bits);
  if (level.group_size > 0) absl::StrAppend(&text, ":g", level.group_size);
  absl::StrAppend(&text, level.symmetric ? ":sym" : ":asym");
  if (level.act_order) text += ":actorder";
  if (level.scale_search) text += ":search";
  return text;
}

absl::StatusOr<std::vector<LevelName>> ParseMenu(const std::string& text,
                                                 int64_t weights) {
  const absl::Status length = CheckLength(text);
  if (!length.ok()) return length;
  std::map<MenuPlace, LevelName> menu;  // the place names the level
  for (const absl::string_view piece : absl::StrSplit(text, ',')) {
    const std::string entry(piece);
    if (entry.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("menu \"", text, "\" has an empty entry"));
    }
    absl::StatusOr<std::vector<LevelName>> levels = ParseEntry(entry, weights);
    if (!levels.ok()) return levels.status();
    for (const LevelName& level : *levels) {
      absl::StatusOr<MenuPlace> place = PlaceInMenu(level, weights);
      if (!place.ok()) return place.status();
      menu.emplace(*std::move(place), level);
    }
    if (menu.size() > kMaxLevels) {
      return absl::InvalidArgumentError(
          absl::StrCat("the menu has more than ", kMaxLevels, " levels"));
    }
  }
  std::vector<LevelName> levels;
  for (auto& [place, level] : menu) levels.push_back(std::move(level));
  return levels;
}

}  // namespace evopress::search
