#include "quant/finite_check.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace evopress::quant {
namespace {

constexpr uint32_t kExponent = 0x7f800000u;
constexpr size_t kChunk = 4096;

uint32_t BitsOf(const float* value) {
  uint32_t bits;
  std::memcpy(&bits, value, sizeof(bits));
  return bits;
}

}  // namespace

absl::Status CheckFinite(const std::string& name,
                         absl::Span<const float> values) {
  for (size_t start = 0; start < values.size(); start += kChunk) {
    const size_t end = std::min(values.size(), start + kChunk);
    uint32_t largest = 0;  // without branches, so that it is vectorized
    for (size_t i = start; i < end; ++i) {
      largest = std::max(largest, BitsOf(&values[i]) & kExponent);
    }
    if (largest != kExponent) continue;
    for (size_t i = start; i < end; ++i) {
      if (std::isfinite(values[i])) continue;
      return absl::DataLossError(absl::StrCat(
          "tensor ", name, " has the value ",
          std::isnan(values[i]) ? "NaN" : "infinity", " at index ", i));
    }
  }
  return absl::OkStatus();
}

}  // namespace evopress::quant
