// How many of a layer's weights are zero, exactly, as level names say it.
//
//   sparsity := percent | "z" count | kept "of" group
//
// "50", "12.5" (percent of the weights, at most four decimals), "z165888"
// (that many zeros), "2of4" (of every 4 neighbours in a row, 2 are kept).
// A share of a layer is rounded up to whole zeros, so that layers of 50 %
// each are never below 50 % together.
#ifndef EVOPRESS_SEARCH_SPARSITY_H_
#define EVOPRESS_SEARCH_SPARSITY_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace evopress::search {

inline constexpr int64_t kWholeShare = 1'000'000;  // Sparsity::amount of 100 %
inline constexpr int kMaxPatternGroup = 32;

struct Sparsity {
  enum class Kind : uint8_t { kNone, kShare, kCount, kPattern };
  Kind kind = Kind::kNone;
  // kShare: millionths of the weights; kCount: zeros; kPattern: weights kept
  // of each group.
  int64_t amount = 0;
  int64_t group = 0;  // kPattern: neighbours in a row that make a group

  bool operator==(const Sparsity&) const = default;
};

// "12.5" as millionths, 125000; nullopt unless it is 0…100 with at most four
// decimals.
std::optional<int64_t> ParsePercent(const std::string& text);

// Nullopt if `text` is no sparsity.
std::optional<Sparsity> ParseSparsity(const std::string& text);

// Canonical text; ParseSparsity(Format(x)) == x. Empty for kNone.
std::string Format(const Sparsity& sparsity);

// Zeros among `weights` weights. InvalidArgument for a count above the weights
// or a pattern whose groups do not fill them.
absl::StatusOr<int64_t> ZerosOf(const Sparsity& sparsity, int64_t weights);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_SPARSITY_H_
