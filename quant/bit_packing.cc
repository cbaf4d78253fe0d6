#include "quant/bit_packing.h"

#include <cstring>

namespace evopress::quant {
namespace {

// Eight codes fill a whole number of bytes, whatever the width.
constexpr int64_t kRun = 8;

uint64_t Join(const uint8_t* codes, int64_t count, int bits) {
  const uint64_t mask = (uint64_t{1} << bits) - 1;
  uint64_t word = 0;
  for (int64_t i = 0; i < count; ++i) {
    word |= (codes[i] & mask) << (i * bits);
  }
  return word;
}

void Split(uint64_t word, int64_t count, int bits, uint8_t* codes) {
  const uint64_t mask = (uint64_t{1} << bits) - 1;
  for (int64_t i = 0; i < count; ++i) {
    codes[i] = static_cast<uint8_t>((word >> (i * bits)) & mask);
  }
}

}  // namespace

void PackBits(const uint8_t* codes, int64_t count, int bits, uint8_t* out) {
  const int64_t whole = count / kRun;
  for (int64_t run = 0; run < whole; ++run) {
    const uint64_t word = Join(codes + run * kRun, kRun, bits);
    std::memcpy(out + run * bits, &word, static_cast<size_t>(bits));
  }
  const int64_t rest = count - whole * kRun;
  if (rest > 0) {
    const uint64_t word = Join(codes + whole * kRun, rest, bits);
    std::memcpy(out + whole * bits, &word,
                static_cast<size_t>(PackedBytes(rest, bits)));
  }
}

void UnpackBits(const uint8_t* in, int64_t count, int bits, uint8_t* codes) {
  const int64_t whole = count / kRun;
  for (int64_t run = 0; run < whole; ++run) {
    uint64_t word = 0;
    std::memcpy(&word, in + run * bits, static_cast<size_t>(bits));
    Split(word, kRun, bits, codes + run * kRun);
  }
  const int64_t rest = count - whole * kRun;
  if (rest > 0) {
    uint64_t word = 0;
    std::memcpy(&word, in + whole * bits,
                static_cast<size_t>(PackedBytes(rest, bits)));
    Split(word, rest, bits, codes + whole * kRun);
  }
}

}  // namespace evopress::quant
