#include "quant/dequantize_blocks.h"
#include "quant/iq_tables.h"

namespace evopress::quant {
namespace {

constexpr int kBlock = 256;
constexpr float kIq1Delta = 0.125f;

// Multiplies by exactly 1 or -1, the way the reference does.
inline float Signed(float value, int bits, int i) {
  return value * (((bits >> i) & 1) ? -1.0f : 1.0f);
}

// Seven signs in seven bits; the eighth makes their number even.
inline int EvenSigns(uint32_t seven) {
  const uint32_t bits = seven & 0x7f;
  return static_cast<int>(bits | ((__builtin_popcount(bits) & 1u) << 7));
}

// A row of a codebook with 8 entries, scaled and signed.
inline void WriteEight(const int8_t* grid, float scale, int signs, float* out) {
  for (int i = 0; i < 8; ++i) {
    out[i] = Signed(scale * static_cast<float>(grid[i]), signs, i);
  }
}

// Two rows of a codebook with 4 entries, scaled and signed.
inline void WriteTwoFours(const int8_t* first, const int8_t* second,
                          float scale, int signs, float* out) {
  for (int i = 0; i < 4; ++i) {
    out[i] = Signed(scale * static_cast<float>(first[i]), signs, i);
    out[i + 4] = Signed(scale * static_cast<float>(second[i]), signs, i + 4);
  }
}

inline void WriteShiftedEight(const int8_t* grid, float scale, float delta,
                              float* out) {
  for (int i = 0; i < 8; ++i) {
    out[i] = scale * (static_cast<float>(grid[i]) + delta);
  }
}

}  // namespace

// f16 scale, 32 low index bytes, 8 words: four 3-bit high index parts, 3-bit
// scale, sign of the delta
void DequantizeIQ1_S(const uint8_t* blocks, int64_t count, float* out) {
  const IqTables& tables = IqTables::Get();
  for (int64_t b = 0; b < count; ++b, blocks += 50) {
    const float d = LoadHalf(blocks);
    for (int group = 0; group < 8; ++group) {
      const int high = LoadU16(blocks + 34 + 2 * group);
      const float scale = d * static_cast<float>(2 * ((high >> 12) & 7) + 1);
      const float delta = (high & 0x8000) ? -kIq1Delta : kIq1Delta;
      for (int i = 0; i < 4; ++i, out += 8) {
        const int index =
            blocks[2 + group * 4 + i] | (((high >> (3 * i)) & 7) << 8);
        WriteShiftedEight(tables.iq1[index], scale, delta, out);
      }
    }
  }
}

// 32 low index bytes, 16 bytes of nibbles (3-bit high index part, sign of the
// delta), 4 words of four 3-bit scales and a nibble of the f16 scale each
void DequantizeIQ1_M(const uint8_t* blocks, int64_t count, float* out) {
  const IqTables& tables = IqTables::Get();
  for (int64_t b = 0; b < count; ++b, blocks += 56) {
    uint16_t words[4];
    for (int i = 0; i < 4; ++i) words[i] = LoadU16(blocks + 48 + 2 * i);
    const float d = HalfToFloat(static_cast<uint16_t>(
        (words[0] >> 12) | ((words[1] & 0xf000) >> 8) |
        ((words[2] & 0xf000) >> 4) | (words[3] & 0xf000)));
    for (int group = 0; group < 32; ++group, out += 8) {
      const int pair = group / 2;
      const int scale_bits = (words[pair / 4] >> (3 * (pair % 4))) & 7;
      const float scale = d * static_cast<float>(2 * scale_bits + 1);
      const int high = blocks[32 + pair] >> (4 * (group % 2));
      const float delta = (high & 8) ? -kIq1Delta : kIq1Delta;
      const int index = blocks[group] | ((high & 7) << 8);
      WriteShiftedEight(tables.iq1[index], scale, delta, out);
    }
  }
}

// f16 scale, 8 groups of four index bytes and a word: four 7-bit sign sets,
// 4-bit scale
void DequantizeIQ2_XXS(const uint8_t* blocks, int64_t count, float* out) {
  const IqTables& tables = IqTables::Get();
  for (int64_t b = 0; b < count; ++b, blocks += 66) {
    const float d = LoadHalf(blocks);
    for (int group = 0; group < 8; ++group) {
      const uint8_t* indices = blocks + 2 + 8 * group;
      const uint32_t word = LoadU32(indices + 4);
      const float scale = d * (0.5f + static_cast<float>(word >> 28)) * 0.25f;
      for (int i = 0; i < 4; ++i, out += 8) {
        WriteEight(tables.iq2_xxs[indices[i]], scale,
                   EvenSigns(word >> (7 * i)), out);
      }
    }
  }
}

// f16 scale, 32 words (9-bit index, 7-bit sign set), 16 scale nibbles
void DequantizeIQ2_XS(const uint8_t* blocks, int64_t count, float* out) {
  const IqTables& tables = IqTables::Get();
  for (int64_t b = 0; b < count; ++b, blocks += 74) {
    const float d = LoadHalf(blocks);
    for (int group = 0; group < 32; ++group, out += 8) {
      const int nibble =
          (blocks[66 + group / 4] >> (4 * ((group / 2) % 2))) & 15;
      const float scale = d * (0.5f + static_cast<float>(nibble)) * 0.25f;
      const uint16_t word = LoadU16(blocks + 2 + 2 * group);
      WriteEight(tables.iq2_xs[word & 511], scale, EvenSigns(word >> 9), out);
    }
  }
}

// f16 scale, 32 low index bytes, 32 sign bytes, 8 bytes of 2-bit high index
// parts, 16 scale nibbles
void DequantizeIQ2_S(const uint8_t* blocks, int64_t count, float* out) {
  const IqTables& tables = IqTables::Get();
  for (int64_t b = 0; b < count; ++b, blocks += 82) {
    const float d = LoadHalf(blocks);
    for (int group = 0; group < 32; ++group, out += 8) {
      const int nibble =
          (blocks[74 + group / 4] >> (4 * ((group / 2) % 2))) & 15;
      const float scale = d * (0.5f + static_cast<float>(nibble)) * 0.25f;
      const int high = (blocks[66 + group / 4] >> (2 * (group % 4))) & 3;
      WriteEight(tables.iq2_s[blocks[2 + group] | (high << 8)], scale,
                 blocks[34 + group], out);
    }
  }
}

// f16 scale, 64 index bytes, 8 words: four 7-bit sign sets, 4-bit scale
void DequantizeIQ3_XXS(const uint8_t* blocks, int64_t count, float* out) {
  const IqTables& tables = IqTables::Get();
  for (int64_t b = 0; b < count; ++b, blocks += 98) {
    const float d = LoadHalf(blocks);
    for (int group = 0; group < 8; ++group) {
      const uint8_t* indices = blocks + 2 + 8 * group;
      const uint32_t word = LoadU32(blocks + 66 + 4 * group);
      const float scale = d * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
      for (int i = 0; i < 4; ++i, out += 8) {
        WriteTwoFours(tables.iq3_xxs[indices[2 * i]],
                      tables.iq3_xxs[indices[2 * i + 1]], scale,
                      EvenSigns(word >> (7 * i)), out);
      }
    }
  }
}

// f16 scale, 64 low index bytes, 8 bytes of ninth index bits, 32 sign bytes, 8
// scale nibbles
void DequantizeIQ3_S(const uint8_t* blocks, int64_t count, float* out) {
  const IqTables& tables = IqTables::Get();
  for (int64_t b = 0; b < count; ++b, blocks += 110) {
    const float d = LoadHalf(blocks);
    for (int pair = 0; pair < 32; ++pair, out += 8) {
      const int group = pair / 4;
      const int nibble = (blocks[106 + group / 2] >> (4 * (group % 2))) & 15;
      const float scale = d * static_cast<float>(1 + 2 * nibble);
      const int high = blocks[66 + group] >> (2 * (pair % 4));
      WriteTwoFours(tables.iq3_s[blocks[2 + 2 * pair] | ((high & 1) << 8)],
                    tables.iq3_s[blocks[3 + 2 * pair] | ((high & 2) << 7)],
                    scale, blocks[74 + pair], out);
    }
  }
}

// f16 scale, word of 2-bit high scale parts, 4 bytes of low scale nibbles, 8
// groups of 16 bytes of nibbles that index kIq4Values
void DequantizeIQ4_XS(const uint8_t* blocks, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, blocks += 136, out += kBlock) {
    const float d = LoadHalf(blocks);
    const int high = LoadU16(blocks + 2);
    for (int group = 0; group < 8; ++group) {
      const int low = (blocks[4 + group / 2] >> (4 * (group % 2))) & 15;
      const int bits = low | (((high >> (2 * group)) & 3) << 4);
      const float scale = d * static_cast<float>(bits - 32);
      const uint8_t* q = blocks + 8 + 16 * group;
      for (int i = 0; i < 16; ++i) {
        out[group * 32 + i] = scale * static_cast<float>(kIq4Values[q[i] & 15]);
        out[group * 32 + 16 + i] =
            scale * static_cast<float>(kIq4Values[q[i] >> 4]);
      }
    }
  }
}

}  // namespace evopress::quant
