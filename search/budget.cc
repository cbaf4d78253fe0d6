#include "search/budget.h"

#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace evopress::search {
namespace {

constexpr int kMaxDecimals = 9;
constexpr int kMaxWholeDigits = 18;
constexpr int64_t kMaxBitsPerWeight = 64;

// value = digits / scale.
struct Decimal {
  __int128 digits = 0;
  int64_t scale = 1;
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Reads a decimal from the front of `text` and says where it ends.
absl::StatusOr<std::pair<Decimal, size_t>> ReadDecimal(
    const std::string& text) {
  Decimal value;
  size_t at = 0;
  int whole = 0, decimals = 0;
  for (; at < text.size() && IsDigit(text[at]); ++at, ++whole) {
    value.digits = value.digits * 10 + (text[at] - '0');
    if (whole == kMaxWholeDigits) {
      return absl::InvalidArgumentError("number has too many digits");
    }
  }
  if (at < text.size() && text[at] == '.') {
    for (++at; at < text.size() && IsDigit(text[at]); ++at, ++decimals) {
      if (decimals == kMaxDecimals) {
        return absl::InvalidArgumentError(
            absl::StrCat("number has more than ", kMaxDecimals, " decimals"));
      }
      value.digits = value.digits * 10 + (text[at] - '0');
      value.scale *= 10;
    }
    if (decimals == 0) return absl::InvalidArgumentError("not a number");
  }
  if (whole == 0) return absl::InvalidArgumentError("not a number");
  return std::pair(value, at);
}

// floor(value * factor).
absl::StatusOr<int64_t> Times(const Decimal& value, int64_t factor) {
  __int128 product = 0;
  if (__builtin_mul_overflow(value.digits, static_cast<__int128>(factor),
                             &product) ||
      product / value.scale > std::numeric_limits<int64_t>::max()) {
    return absl::InvalidArgumentError("exceeds 64 bits");
  }
  return static_cast<int64_t>(product / value.scale);
}

absl::Status About(const std::string& text, const absl::Status& status) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text.substr(0, 64), "\": ", status.message()));
}

absl::StatusOr<int64_t> UnitOf(const std::string& suffix) {
  const std::string unit = absl::AsciiStrToLower(suffix);
  if (unit.empty() || unit == "b") return 1;
  const size_t power = std::string("kmgt").find(unit[0]);
  const std::string rest = unit.substr(1);
  if (power == std::string::npos ||
      (rest != "b" && rest != "ib" && !rest.empty())) {
    return absl::InvalidArgumentError(
        "unknown unit; use B, kB, MB, GB, TB, KiB, MiB, GiB or TiB");
  }
  if (rest.empty()) {
    const std::string letter = absl::AsciiStrToUpper(unit);
    return absl::InvalidArgumentError(
        absl::StrCat("say ", letter, "B (powers of 1000) or ", letter,
                     "iB (powers of 1024)"));
  }
  int64_t bytes = 1;
  for (size_t i = 0; i <= power; ++i) bytes *= rest == "b" ? 1000 : 1024;
  return bytes;
}

// Rounded to the nearest, `decimals` digits after the point.
std::string FormatRatio(int64_t numerator, int64_t denominator, int decimals) {
  int64_t scale = 1;
  for (int i = 0; i < decimals; ++i) scale *= 10;
  const __int128 scaled =
      (static_cast<__int128>(numerator) * scale + denominator / 2) /
      denominator;
  const int64_t whole = static_cast<int64_t>(scaled / scale);
  std::string fraction = absl::StrCat(static_cast<int64_t>(scaled % scale));
  fraction.insert(0, decimals - fraction.size(), '0');
  return absl::StrCat(whole, ".", fraction);
}

}  // namespace

absl::StatusOr<int64_t> ParseBitsPerWeight(const std::string& text,
                                           int64_t weights) {
  if (weights < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("bits per weight over ", weights, " weights"));
  }
  const auto read = ReadDecimal(text);
  if (!read.ok()) return About(text, read.status());
  const auto& [value, end] = *read;
  if (end != text.size() || value.digits == 0 ||
      value.digits > __int128{kMaxBitsPerWeight} * value.scale) {
    return About(text, absl::InvalidArgumentError(absl::StrCat(
                           "bits per weight are a number above 0, at most ",
                           kMaxBitsPerWeight, ", such as 3 or 2.25")));
  }
  absl::StatusOr<int64_t> bits = Times(value, weights);
  if (!bits.ok()) return About(text, bits.status());
  return bits;
}

absl::StatusOr<int64_t> ParseKept(const std::string& text, int64_t count) {
  const auto read = ReadDecimal(text);
  if (!read.ok()) return About(text, read.status());
  const auto& [value, end] = *read;
  if (end != text.size() || value.digits > value.scale) {
    return About(text, absl::InvalidArgumentError(
                           "a share is a number from 0 to 1, such as 0.25"));
  }
  const Decimal kept{value.scale - value.digits, value.scale};
  absl::StatusOr<int64_t> left = Times(kept, count);
  if (!left.ok()) return About(text, left.status());
  return left;
}

absl::StatusOr<int64_t> ParseSize(const std::string& text) {
  const auto read = ReadDecimal(text);
  if (!read.ok()) return About(text, read.status());
  const auto& [value, end] = *read;
  const std::string suffix(absl::StripAsciiWhitespace(text.substr(end)));
  const absl::StatusOr<int64_t> unit = UnitOf(suffix);
  if (!unit.ok()) return About(text, unit.status());
  absl::StatusOr<int64_t> bytes = Times(value, *unit);
  if (!bytes.ok()) return About(text, bytes.status());
  return bytes;
}

std::string FormatBitsPerWeight(int64_t bits, int64_t weights) {
  if (weights <= 0) return "0";
  return FormatRatio(bits, weights, 3);
}

std::string FormatSize(int64_t bytes) {
  constexpr const char* kDecimal[] = {"kB", "MB", "GB", "TB"};
  constexpr const char* kBinary[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1000) return absl::StrCat(bytes, " B");
  int power = 0;
  int64_t decimal = 1000, binary = 1024;
  while (power < 3 && bytes >= 1000 * decimal) {
    decimal *= 1000;
    binary *= 1024;
    ++power;
  }
  return absl::StrCat(FormatRatio(bytes, decimal, 1), " ", kDecimal[power],
                      " (", FormatRatio(bytes, binary, 1), " ", kBinary[power],
                      ")");
}

}  // namespace evopress::search
