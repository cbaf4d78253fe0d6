// Budgets as people write them, turned into exact integers and back.
//
// No amount ever passes through a double: "2.3" bits over N weights is
// floor(23 N / 10).
#ifndef EVOPRESS_SEARCH_BUDGET_H_
#define EVOPRESS_SEARCH_BUDGET_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace evopress::search {

// "3" or "2.25" bits per weight (at most 9 decimals) over `weights` weights,
// rounded down to whole bits. InvalidArgument unless positive, at most 64 and
// within int64.
absl::StatusOr<int64_t> ParseBitsPerWeight(const std::string& text,
                                           int64_t weights);

// What is kept of `count` weights or modules if at least the share "0.25" (0 to
// 1, at most 9 decimals) of them goes: rounded down. InvalidArgument for
// anything else.
absl::StatusOr<int64_t> ParseKept(const std::string& text, int64_t count);

// Bytes: "90MB" (10^6), "90MiB" (2^20), "1.5GB", "123456", "123456B"; units
// kB, MB, GB, TB, KiB, MiB, GiB, TiB in any case; rounded down.
// InvalidArgument for a bare "90M", which could mean either.
absl::StatusOr<int64_t> ParseSize(const std::string& text);

// For people: bits / weights to three decimals, e.g. "2.255"; "0" of nothing.
std::string FormatBitsPerWeight(int64_t bits, int64_t weights);

// For people: "90.0 MB (85.8 MiB)", below 1 kB "512 B".
std::string FormatSize(int64_t bytes);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_BUDGET_H_
