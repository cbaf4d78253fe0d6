// quant/iq_tables.h
// The codebooks of the IQ block types of GGUF. A codebook row holds the
// magnitudes (for IQ1: the values) of 8 or 4 consecutive weights.

#ifndef EVOPRESS_QUANT_IQ_TABLES_H_
#define EVOPRESS_QUANT_IQ_TABLES_H_

#include <cstdint>

namespace evopress::quant {

struct IqTables {
  int8_t iq1[2048][8];     // -1, 0 or 1; IQ1_S and IQ1_M
  int8_t iq2_xxs[256][8];  // 8, 25 or 43
  int8_t iq2_xs[512][8];   // 8, 25 or 43
  int8_t iq2_s[1024][8];   // 8, 25 or 43
  int8_t iq3_xxs[256][4];  // 4, 12, 20, 28, 36, 44, 52 or 62
  int8_t iq3_s[512][4];    // odd, 1 to 15

  // Expanded from the packed tables at the first call. Thread-safe.
  static const IqTables& Get();
};

// The same as the format defines them: row i in 16 bits, entry j in the two
// (iq1, iq2) or four (iq3) bits from 2j or 4j, as an index of the values above.
extern const uint16_t kPackedIq1[2048];
extern const uint16_t kPackedIq2Xxs[256];
extern const uint16_t kPackedIq2Xs[512];
extern const uint16_t kPackedIq2S[1024];
extern const uint16_t kPackedIq3Xxs[256];
extern const uint16_t kPackedIq3S[512];

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_IQ_TABLES_H_
