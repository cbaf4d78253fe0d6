#include "search/sparsity.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace evopress::search {
namespace {

constexpr int64_t kPercent = kWholeShare / 100;
constexpr size_t kDecimals = 4;

// Digits only, so that a number has one spelling up to leading zeros.
std::optional<int64_t> ParseCount(const std::string& text) {
  int64_t value = 0;
  const bool digits =
      !text.empty() && std::all_of(text.begin(), text.end(),
                                   [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || !absl::SimpleAtoi(text, &value)) return std::nullopt;
  return value;
}

std::string FormatPercent(int64_t share) {
  std::string text = absl::StrCat(share / kPercent);
  std::string decimals = absl::StrCat(share % kPercent);
  decimals.insert(0, kDecimals - decimals.size(), '0');
  decimals.erase(decimals.find_last_not_of('0') + 1);
  if (!decimals.empty()) absl::StrAppend(&text, ".", decimals);
  return text;
}

}  // namespace

std::optional<int64_t> ParsePercent(const std::string& text) {
  const size_t point = text.find('.');
  std::string decimals;
  if (point != std::string::npos) {
    decimals = text.substr(point + 1);
    if (decimals.empty() || decimals.size() > kDecimals) return std::nullopt;
  }
  decimals.append(kDecimals - decimals.size(), '0');
  const std::optional<int64_t> whole = ParseCount(text.substr(0, point));
  const std::optional<int64_t> rest = ParseCount(decimals);
  if (!whole.has_value() || *whole > 100 || !rest.has_value()) {
    return std::nullopt;
  }
  const int64_t share = *whole * kPercent + *rest;
  if (share > kWholeShare) return std::nullopt;
  return share;
}

std::optional<Sparsity> ParseSparsity(const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (text[0] == 'z') {
    const std::optional<int64_t> zeros = ParseCount(text.substr(1));
    if (!zeros.has_value()) return std::nullopt;
    return Sparsity{Sparsity::Kind::kCount, *zeros, 0};
  }
  const size_t of = text.find("of");
  if (of != std::string::npos) {
    const std::optional<int64_t> kept = ParseCount(text.substr(0, of));
    const std::optional<int64_t> group = ParseCount(text.substr(of + 2));
    if (!kept.has_value() || !group.has_value() || *kept < 1 ||
        *kept >= *group || *group > kMaxPatternGroup) {
      return std::nullopt;
    }
    return Sparsity{Sparsity::Kind::kPattern, *kept, *group};
  }
  const std::optional<int64_t> share = ParsePercent(text);
  if (!share.has_value()) return std::nullopt;
  return Sparsity{Sparsity::Kind::kShare, *share, 0};
}

std::string Format(const Sparsity& sparsity) {
  switch (sparsity.kind) {
    case Sparsity::Kind::kNone:
      return "";
    case Sparsity::Kind::kShare:
      return FormatPercent(sparsity.amount);
    case Sparsity::Kind::kCount:
      return absl::StrCat("z", sparsity.amount);
    case Sparsity::Kind::kPattern:
      return absl::StrCat(sparsity.amount, "of", sparsity.group);
  }
  return "";
}

absl::StatusOr<int64_t> ZerosOf(const Sparsity& sparsity, int64_t weights) {
  switch (sparsity.kind) {
    case Sparsity::Kind::kNone:
      return 0;
    case Sparsity::Kind::kShare: {
      const __int128 parts = static_cast<__int128>(sparsity.amount) * weights;
      return static_cast<int64_t>((parts + kWholeShare - 1) / kWholeShare);
    }
    case Sparsity::Kind::kCount:
      if (sparsity.amount > weights) {
        return absl::InvalidArgumentError(
            absl::StrCat("zeros=", sparsity.amount, " exceed the ", weights,
                         " weights; lower the count or give a percentage"));
      }
      return sparsity.amount;
    case Sparsity::Kind::kPattern:
      if (weights % sparsity.group != 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("groups of ", sparsity.group, " do not divide the ",
                         weights, " weights; choose another pattern"));
      }
      return weights / sparsity.group * (sparsity.group - sparsity.amount);
  }
  return 0;
}

}  // namespace evopress::search
