#include "quant/dequantize_blocks.h"

namespace evopress::quant {
namespace {

constexpr int kBlock = 256;

// Eight 6-bit scales and minima in 12 bytes: the low 6 bits of bytes 0-3 and
// 4-7 are those of groups 0-3; groups 4-7 have 4 bits in bytes 8-11 and their
// top 2 bits above those of groups 0-3.
void UnpackScalesAndMinima(const uint8_t* packed, uint8_t (&scales)[8],
                           uint8_t (&minima)[8]) {
  for (int i = 0; i < 4; ++i) {
    scales[i] = packed[i] & 0x3f;
    minima[i] = packed[i + 4] & 0x3f;
    scales[i + 4] = (packed[i + 8] & 0x0f) | ((packed[i] >> 2) & 0x30);
    minima[i + 4] = (packed[i + 8] >> 4) | ((packed[i + 4] >> 2) & 0x30);
  }
}

// Two chunks of 32 bytes; the two bits at 0, 2, 4, 6 of a chunk's bytes are
// its four runs of 32 values.
void UnpackCrumbs(const uint8_t* bytes, uint8_t (&q)[kBlock]) {
  for (int chunk = 0; chunk < 2; ++chunk) {
    for (int run = 0; run < 4; ++run) {
      for (int i = 0; i < 32; ++i) {
        q[chunk * 128 + run * 32 + i] =
            (bytes[chunk * 32 + i] >> (2 * run)) & 3;
      }
    }
  }
}

// Four chunks of 32 bytes; low nibbles are a chunk's first 32 values.
void UnpackNibbles(const uint8_t* bytes, uint8_t (&q)[kBlock]) {
  for (int chunk = 0; chunk < 4; ++chunk) {
    for (int i = 0; i < 32; ++i) {
      q[chunk * 64 + i] = bytes[chunk * 32 + i] & 0x0f;
      q[chunk * 64 + 32 + i] = bytes[chunk * 32 + i] >> 4;
    }
  }
}

}  // namespace

// 16 bytes of scale and minimum nibbles, 64 bytes of 2-bit values, f16 scale
// of the scales, f16 scale of the minima
void DequantizeQ2_K(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, blocks += 84, out += kBlock) {
    const float d = LoadHalf(blocks + 80);
    const float dmin = LoadHalf(blocks + 82);
    uint8_t q[kBlock];
    UnpackCrumbs(blocks + 16, q);
    for (int group = 0; group < 16; ++group) {
      const float scale = d * static_cast<float>(blocks[group] & 0x0f);
      const float minimum = dmin * static_cast<float>(blocks[group] >> 4);
      for (int i = group * 16; i < group * 16 + 16; ++i) {
        out[i] = scale * static_cast<float>(q[i]) - minimum;
      }
    }
  }
}

// 32 bytes of third bits (0 subtracts 4), 64 bytes of 2-bit values, 16 6-bit
// scales in 12 bytes, f16 scale
void DequantizeQ3_K(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, blocks += 110, out += kBlock) {
    const uint8_t* high = blocks;
    const uint8_t* packed = blocks + 96;
    const float d = LoadHalf(blocks + 108);
    uint8_t q[kBlock];
    UnpackCrumbs(blocks + 32, q);
    int8_t signed_q[kBlock];
    for (int run = 0; run < 8; ++run) {
      for (int i = 0; i < 32; ++i) {
        const int offset = ((high[i] >> run) & 1) ? 0 : 4;
        signed_q[run * 32 + i] = static_cast<int8_t>(q[run * 32 + i] - offset);
      }
    }
    for (int group = 0; group < 16; ++group) {
      const int low = (packed[group % 8] >> (4 * (group / 8))) & 0x0f;
      const int top = (packed[8 + group % 4] >> (2 * (group / 4))) & 3;
      const float scale = d * static_cast<float>((low | (top << 4)) - 32);
      for (int i = group * 16; i < group * 16 + 16; ++i) {
        out[i] = scale * static_cast<float>(signed_q[i]);
      }
    }
  }
}

// f16 scale, f16 scale of the minima, 12 bytes of scales and minima, 128 bytes
// of nibbles
void DequantizeQ4_K(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, blocks += 144, out += kBlock) {
    const float d = LoadHalf(blocks);
    const float dmin = LoadHalf(blocks + 2);
    uint8_t scales[8], minima[8], q[kBlock];
    UnpackScalesAndMinima(blocks + 4, scales, minima);
    UnpackNibbles(blocks + 16, q);
    for (int group = 0; group < 8; ++group) {
      const float scale = d * static_cast<float>(scales[group]);
      const float minimum = dmin * static_cast<float>(minima[group]);
      for (int i = group * 32; i < group * 32 + 32; ++i) {
        out[i] = scale * static_cast<float>(q[i]) - minimum;
      }
    }
  }
}

// as Q4_K, with 32 bytes of fifth bits before the nibbles
void DequantizeQ5_K(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, blocks += 176, out += kBlock) {
    const float d = LoadHalf(blocks);
    const float dmin = LoadHalf(blocks + 2);
    const uint8_t* high = blocks + 16;
    uint8_t scales[8], minima[8], q[kBlock];
    UnpackScalesAndMinima(blocks + 4, scales, minima);
    UnpackNibbles(blocks + 48, q);
    for (int group = 0; group < 8; ++group) {
      const float scale = d * static_cast<float>(scales[group]);
      const float minimum = dmin * static_cast<float>(minima[group]);
      for (int i = 0; i < 32; ++i) {
        const int value = q[group * 32 + i] | (((high[i] >> group) & 1) << 4);
        out[group * 32 + i] = scale * static_cast<float>(value) - minimum;
      }
    }
  }
}

// 128 bytes of low nibbles, 64 bytes of high 2 bits, 16 signed scales, f16
// scale
void DequantizeQ6_K(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, blocks += 210, out += kBlock) {
    const uint8_t* low = blocks;
    const float d = LoadHalf(blocks + 208);
    uint8_t q[kBlock];
    UnpackCrumbs(blocks + 128, q);
    int8_t signed_q[kBlock];
    for (int chunk = 0; chunk < 2; ++chunk) {
      for (int half = 0; half < 2; ++half) {
        for (int i = 0; i < 64; ++i) {
          const int at = chunk * 128 + half * 64 + i;
          const int nibble = (low[chunk * 64 + i] >> (4 * half)) & 0x0f;
          signed_q[at] = static_cast<int8_t>((nibble | (q[at] << 4)) - 32);
        }
      }
    }
    for (int group = 0; group < 16; ++group) {
      const float scale =
          d * static_cast<float>(static_cast<int8_t>(blocks[192 + group]));
      for (int i = group * 16; i < group * 16 + 16; ++i) {
        out[i] = scale * static_cast<float>(signed_q[i]);
      }
    }
  }
}

// Ternary: 48 bytes of five base-3 digits, 4 bytes of four, f16 scale. A byte
// is a fixed-point fraction: multiplying by 3^k modulo 256 leaves digit k on
// top.
void DequantizeTQ1_0(const uint8_t* blocks, int64_t count, float* out) {
  constexpr uint8_t kPowers[5] = {1, 3, 9, 27, 81};
  const auto digit = [](uint8_t byte, uint8_t power) {
    const uint8_t shifted = static_cast<uint8_t>(byte * power);
    return static_cast<float>(((shifted * 3) >> 8) - 1);
  };
  for (int64_t b = 0; b < count; ++b, blocks += 54, out += kBlock) {
    const float d = LoadHalf(blocks + 52);
    for (int k = 0; k < 5; ++k) {
      for (int i = 0; i < 32; ++i) {
        out[k * 32 + i] = d * digit(blocks[i], kPowers[k]);
      }
      for (int i = 0; i < 16; ++i) {
        out[160 + k * 16 + i] = d * digit(blocks[32 + i], kPowers[k]);
      }
    }
    for (int k = 0; k < 4; ++k) {
      for (int i = 0; i < 4; ++i) {
        out[240 + k * 4 + i] = d * digit(blocks[48 + i], kPowers[k]);
      }
    }
  }
}

// 64 bytes of 2-bit values, f16 scale
void DequantizeTQ2_0(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, blocks += 66, out += kBlock) {
    const float d = LoadHalf(blocks + 64);
    uint8_t q[kBlock];
    UnpackCrumbs(blocks, q);
    for (int i = 0; i < kBlock; ++i) out[i] = d * static_cast<float>(q[i] - 1);
  }
}

}  // namespace evopress::quant
