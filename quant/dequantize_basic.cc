#include <bit>

#include "quant/dequantize_blocks.h"

namespace evopress::quant {
namespace {

// The values of FP4 (E2M1), doubled so that they are integers.
constexpr int8_t kFp4Values[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                   0, -1, -2, -3, -4, -6, -8, -12};

// Low nibbles of 16 bytes are values 0..15, high nibbles 16..31.
inline void UnpackNibbles(const uint8_t* bytes, uint8_t (&q)[32]) {
  for (int i = 0; i < 16; ++i) {
    q[i] = bytes[i] & 0x0f;
    q[i + 16] = bytes[i] >> 4;
  }
}

inline void AddFifthBits(uint32_t high, uint8_t (&q)[32]) {
  for (int i = 0; i < 32; ++i) {
    q[i] = static_cast<uint8_t>(q[i] | (((high >> i) & 1u) << 4));
  }
}

// 2^(exponent - 128): half of an E8M0 scale, since kFp4Values are doubled.
inline float HalfE8M0(uint8_t exponent) {
  const uint32_t bits = exponent < 2
                            ? 0x00200000u << exponent
                            : static_cast<uint32_t>(exponent - 1) << 23;
  return std::bit_cast<float>(bits);
}

// Half of an unsigned E4M3 scale; 0x7f is its NaN, read as zero.
inline float HalfUE4M3(uint8_t x) {
  if (x == 0 || x == 0x7f) return 0.0f;
  const int exponent = (x >> 3) & 0x0f;
  const float mantissa = static_cast<float>(x & 7);
  if (exponent == 0) return mantissa * 0x1p-9f * 0.5f;
  const float power =
      std::bit_cast<float>(static_cast<uint32_t>(exponent - 7 + 127) << 23);
  return (1.0f + mantissa / 8.0f) * power * 0.5f;
}

}  // namespace

void DequantizeF32(const uint8_t* blocks, int64_t count, float* out) {
  std::memcpy(out, blocks, static_cast<size_t>(count) * sizeof(float));
}

void DequantizeF16(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = LoadHalf(blocks + 2 * i);
}

void DequantizeBF16(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = BfloatToFloat(LoadU16(blocks + 2 * i));
  }
}

// f16 scale, 16 bytes of nibbles
void DequantizeQ4_0(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, blocks += 18, out += 32) {
    const float d = LoadHalf(blocks);
    uint8_t q[32];
    UnpackNibbles(blocks + 2, q);
    for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(q[i] - 8);
  }
}

// f16 scale, f16 minimum, 16 bytes of nibbles
void DequantizeQ4_1(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, blocks += 20, out += 32) {
    const float d = LoadHalf(blocks);
    const float m = LoadHalf(blocks + 2);
    uint8_t q[32];
    UnpackNibbles(blocks + 4, q);
    for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(q[i]) + m;
  }
}

// f16 scale, 32 fifth bits, 16 bytes of nibbles
void DequantizeQ5_0(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, blocks += 22, out += 32) {
    const float d = LoadHalf(blocks);
    uint8_t q[32];
    UnpackNibbles(blocks + 6, q);
    AddFifthBits(LoadU32(blocks + 2), q);
    for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(q[i] - 16);
  }
}

// f16 scale, f16 minimum, 32 fifth bits, 16 bytes of nibbles
void DequantizeQ5_1(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, blocks += 24, out += 32) {
    const float d = LoadHalf(blocks);
    const float m = LoadHalf(blocks + 2);
    uint8_t q[32];
    UnpackNibbles(blocks + 8, q);
    AddFifthBits(LoadU32(blocks + 4), q);
    for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(q[i]) + m;
  }
}

// f16 scale, 32 signed bytes
void DequantizeQ8_0(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, blocks += 34, out += 32) {
    const float d = LoadHalf(blocks);
    int8_t q[32];
    std::memcpy(q, blocks + 2, sizeof(q));
    for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(q[i]) * d;
  }
}

// f16 scale, 16 bytes of nibbles that index kIq4Values
void DequantizeIQ4_NL(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, blocks += 18, out += 32) {
    const float d = LoadHalf(blocks);
    uint8_t q[32];
    UnpackNibbles(blocks + 2, q);
    for (int i = 0; i < 32; ++i) {
      out[i] = d * static_cast<float>(kIq4Values[q[i]]);
    }
  }
}

// E8M0 scale, 16 bytes of FP4
void DequantizeMXFP4(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, blocks += 17, out += 32) {
    const float d = HalfE8M0(blocks[0]);
    uint8_t q[32];
    UnpackNibbles(blocks + 1, q);
    for (int i = 0; i < 32; ++i) {
      out[i] = d * static_cast<float>(kFp4Values[q[i]]);
    }
  }
}

// four UE4M3 scales, then four groups of 8 bytes of FP4, 16 values each
void DequantizeNVFP4(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, blocks += 36) {
    for (int group = 0; group < 4; ++group, out += 16) {
      const float d = HalfUE4M3(blocks[group]);
      const uint8_t* q = blocks + 4 + 8 * group;
      for (int i = 0; i < 8; ++i) {
        out[i] = d * static_cast<float>(kFp4Values[q[i] & 0x0f]);
        out[i + 8] = d * static_cast<float>(kFp4Values[q[i] >> 4]);
      }
    }
  }
}

}  // namespace evopress::quant
