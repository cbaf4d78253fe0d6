// quant/half.h
// Conversions between float and the 16-bit formats of weight files: IEEE
// binary16 (f16) and bfloat16 (bf16). Bit exact on every machine: plain
// integer arithmetic, rounding to nearest, ties to even.

#ifndef EVOPRESS_QUANT_HALF_H_
#define EVOPRESS_QUANT_HALF_H_

#include <bit>
#include <cstdint>

namespace evopress::quant {

// Exact. NaNs stay NaNs and keep their payload's upper bits.
inline float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7fffu;
  if (magnitude >= 0x7c00u) {  // infinity, NaN
    return std::bit_cast<float>(sign | 0x7f800000u |
                                ((magnitude & 0x3ffu) << 13));
  }
  if (magnitude >= 0x0400u) {
    return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
  }
  // Subnormal: magnitude * 2^-24 is exact in float.
  const float value = static_cast<float>(magnitude) * 0x1p-24f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(value));
}

// Rounds to nearest, ties to even; too large becomes infinity. NaNs become
// quiet NaNs.
inline uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  }
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // rounds to >= 65520
  if (magnitude >= 0x38800000u) {
    const uint32_t odd = (magnitude >> 13) & 1u;
    return static_cast<uint16_t>(
        sign | ((magnitude + 0xfffu + odd - 0x38000000u) >> 13));
  }
  // Below 2^-14: adding 0.5 makes the FPU round to multiples of 2^-24.
  const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
  return static_cast<uint16_t>(
      sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
}

// Exact.
inline float BfloatToFloat(uint16_t bfloat) {
  return std::bit_cast<float>(static_cast<uint32_t>(bfloat) << 16);
}

// Rounds to nearest, ties to even; NaNs become quiet NaNs.
inline uint16_t FloatToBfloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return static_cast<uint16_t>((bits >> 16) | 0x40u);
  }
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_HALF_H_
