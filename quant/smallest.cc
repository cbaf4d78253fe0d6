#include "quant/smallest.h"

#include <bit>

namespace evopress::quant {
namespace {

// Floats that are not negative are ordered as their bits are.
uint32_t KeyOf(float score) {
  return std::bit_cast<uint32_t>(score) & 0x7fffffffu;
}

int64_t CountBelow(const float* scores, int64_t n, uint32_t key) {
  // Partial sums in 32 bits, so that the loop is one of 32-bit lanes.
  constexpr int64_t kChunk = int64_t{1} << 20;
  int64_t count = 0;
  for (int64_t begin = 0; begin < n; begin += kChunk) {
    const int64_t end = begin + kChunk < n ? begin + kChunk : n;
    uint32_t below = 0;
    for (int64_t i = begin; i < end; ++i) below += KeyOf(scores[i]) < key;
    count += below;
  }
  return count;
}

}  // namespace

void DropSmallest(const float* scores, int64_t n, int64_t count,
                  uint8_t* kept) {
  // The largest key with at most `count` scores below it, bit by bit.
  uint32_t key = 0;
  for (uint32_t bit = uint32_t{1} << 31; bit != 0; bit >>= 1) {
    if (CountBelow(scores, n, key | bit) <= count) key |= bit;
  }
  int64_t equals = count - CountBelow(scores, n, key);
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t mine = KeyOf(scores[i]);
    const bool drop = mine < key || (mine == key && equals > 0);
    if (drop && mine == key) --equals;
    kept[i] = drop ? 0 : 1;
  }
}

}  // namespace evopress::quant
