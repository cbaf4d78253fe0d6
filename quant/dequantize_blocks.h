// quant/dequantize_blocks.h
// The dequantizers of single block types, behind quant/dequantize.h. The
// comment at each definition gives the layout of a block.

#ifndef EVOPRESS_QUANT_DEQUANTIZE_BLOCKS_H_
#define EVOPRESS_QUANT_DEQUANTIZE_BLOCKS_H_

#include <cstdint>
#include <cstring>

#include "quant/half.h"

namespace evopress::quant {

inline uint16_t LoadU16(const uint8_t* p) {
  uint16_t value;
  std::memcpy(&value, p, sizeof(value));
  return value;
}

inline uint32_t LoadU32(const uint8_t* p) {
  uint32_t value;
  std::memcpy(&value, p, sizeof(value));
  return value;
}

inline float LoadHalf(const uint8_t* p) { return HalfToFloat(LoadU16(p)); }

// The 16 values of IQ4_NL and IQ4_XS.
inline constexpr int8_t kIq4Values[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// dequantize_basic.cc: plain floats, and types of short blocks
void DequantizeF32(const uint8_t* blocks, int64_t count, float* out);
void DequantizeF16(const uint8_t* blocks, int64_t count, float* out);
void DequantizeBF16(const uint8_t* blocks, int64_t count, float* out);
void DequantizeQ4_0(const uint8_t* blocks, int64_t count, float* out);
void DequantizeQ4_1(const uint8_t* blocks, int64_t count, float* out);
void DequantizeQ5_0(const uint8_t* blocks, int64_t count, float* out);
void DequantizeQ5_1(const uint8_t* blocks, int64_t count, float* out);
void DequantizeQ8_0(const uint8_t* blocks, int64_t count, float* out);
void DequantizeIQ4_NL(const uint8_t* blocks, int64_t count, float* out);
void DequantizeMXFP4(const uint8_t* blocks, int64_t count, float* out);
void DequantizeNVFP4(const uint8_t* blocks, int64_t count, float* out);

// dequantize_k.cc: super-blocks of 256 with quantized scales, and ternary ones
void DequantizeQ2_K(const uint8_t* blocks, int64_t count, float* out);
void DequantizeQ3_K(const uint8_t* blocks, int64_t count, float* out);
void DequantizeQ4_K(const uint8_t* blocks, int64_t count, float* out);
void DequantizeQ5_K(const uint8_t* blocks, int64_t count, float* out);
void DequantizeQ6_K(const uint8_t* blocks, int64_t count, float* out);
void DequantizeTQ1_0(const uint8_t* blocks, int64_t count, float* out);
void DequantizeTQ2_0(const uint8_t* blocks, int64_t count, float* out);

// dequantize_iq.cc: super-blocks of 256 with codebooks
void DequantizeIQ1_S(const uint8_t* blocks, int64_t count, float* out);
void DequantizeIQ1_M(const uint8_t* blocks, int64_t count, float* out);
void DequantizeIQ2_XXS(const uint8_t* blocks, int64_t count, float* out);
void DequantizeIQ2_XS(const uint8_t* blocks, int64_t count, float* out);
void DequantizeIQ2_S(const uint8_t* blocks, int64_t count, float* out);
void DequantizeIQ3_XXS(const uint8_t* blocks, int64_t count, float* out);
void DequantizeIQ3_S(const uint8_t* blocks, int64_t count, float* out);
void DequantizeIQ4_XS(const uint8_t* blocks, int64_t count, float* out);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_DEQUANTIZE_BLOCKS_H_
