#include "search/level_name.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

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

// "b3", and in menus also "b2-6", "2-6" and "3". Nullopt if `word` is no width
// at all.
std::optional<absl::StatusOr<BitsRange>> ParseBits(const std::string& word,
                                                   const std::string& where,
                                                   bool menu) {
  const bool prefixed = word[0] == 'b';
  if (!prefixed && !(menu && word[0] >= '0' && word[0] <= '9')) {
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

// One level, or in menus a range of them.
absl::StatusOr<std::vector<LevelName>> ParseEntry(const std::string& text,
                                                  bool menu) {
  const std::vector<std::string> words = absl::StrSplit(text, ':');
  LevelName level;
  level.method = words[0];
  if (level.method == "keep" || level.method == "drop") {
    if (words.size() > 1) {
      return Bad(words[1], text, "keep and drop take no options");
    }
    if (level.method == "drop") level.bits = 0;
    return std::vector<LevelName>{level};
  }
  if (level.method != "rtn" && level.method != "gptq") {
    return Bad(level.method, text, "methods are keep, drop, rtn, gptq");
  }
  std::optional<BitsRange> bits;
  bool group = false, symmetry = false, order = false, search = false;
  for (size_t i = 1; i < words.size(); ++i) {
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
    } else if (word[0] == 'g') {
      status = Once(group, word, text);
      const std::optional<int> size = ParseNumber(word.substr(1));
      if (!size.has_value() || *size > kMaxGroupSize) {
        return Bad(word, text,
                   absl::StrCat("group sizes are g1…g", kMaxGroupSize,
                                ", or g0 for whole rows"));
      }
      level.group_size = *size;
    } else if (auto range = ParseBits(word, text, menu)) {
      if (!range->ok()) return range->status();
      if (bits.has_value()) return Bad(word, text, "a second width");
      bits = **range;
    } else {
      return Bad(word, text, "options are bN, gN, sym, asym, actorder, search");
    }
    if (!status.ok()) return status;
  }
  if (!bits.has_value()) {
    return Bad(level.method, text, "needs a width such as b4");
  }
  if (level.act_order && level.method != "gptq") {
    return Bad("actorder", text, "is for gptq only");
  }
  std::vector<LevelName> levels;
  for (level.bits = bits->from; level.bits <= bits->to; ++level.bits) {
    levels.push_back(level);
  }
  return levels;
}

// Larger groups are cheaper; whole rows cheapest.
auto MenuOrder(const LevelName& level) {
  const int group = level.group_size == 0 ? std::numeric_limits<int>::max()
                                          : level.group_size;
  return std::tuple(level.bits, -group, Format(level));
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
  absl::StatusOr<std::vector<LevelName>> levels = ParseEntry(text, false);
  if (!levels.ok()) return levels.status();
  return levels->front();
}

std::string Format(const LevelName& level) {
  if (level.method == "keep" || level.method == "drop") return level.method;
  std::string text = absl::StrCat(level.method, ":b", level.bits);
  if (level.group_size > 0) absl::StrAppend(&text, ":g", level.group_size);
  absl::StrAppend(&text, level.symmetric ? ":sym" : ":asym");
  if (level.act_order) text += ":actorder";
  if (level.scale_search) text += ":search";
  return text;
}

absl::StatusOr<std::vector<LevelName>> ParseMenu(const std::string& text) {
  const absl::Status length = CheckLength(text);
  if (!length.ok()) return length;
  std::vector<LevelName> menu;
  for (const absl::string_view piece : absl::StrSplit(text, ',')) {
    const std::string entry(piece);
    if (entry.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("menu \"", text, "\" has an empty entry"));
    }
    absl::StatusOr<std::vector<LevelName>> levels = ParseEntry(entry, true);
    if (!levels.ok()) return levels.status();
    for (LevelName& level : *levels) {
      if (std::find(menu.begin(), menu.end(), level) != menu.end()) {
        continue;  // "without doubles"
      }
      menu.push_back(std::move(level));
    }
    if (menu.size() > kMaxLevels) {
      return absl::InvalidArgumentError(
          absl::StrCat("the menu has more than ", kMaxLevels, " levels"));
    }
  }
  std::sort(menu.begin(), menu.end(),
            [](const LevelName& a, const LevelName& b) {
              return MenuOrder(a) < MenuOrder(b);
            });
  return menu;
}

}  // namespace evopress::search
