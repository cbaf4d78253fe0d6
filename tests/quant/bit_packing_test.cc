#include "quant/bit_packing.h"

#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace evopress::quant {
namespace {

TEST(BitPacking, EveryWidthAndLengthComesBack) {
  std::mt19937 rng(1);
  for (int bits = 1; bits <= 8; ++bits) {
    for (int64_t count = 0; count <= 70; ++count) {
      SCOPED_TRACE(testing::Message() << bits << " bits, " << count);
      std::vector<uint8_t> codes(count);
      for (uint8_t& code : codes) code = rng() & ((1 << bits) - 1);
      // A guard byte on both sides shows writes and reads out of bounds.
      std::vector<uint8_t> packed(PackedBytes(count, bits) + 2, 0xa5);
      PackBits(codes.data(), count, bits, packed.data() + 1);
      EXPECT_EQ(packed.front(), 0xa5);
      EXPECT_EQ(packed.back(), 0xa5);
      std::vector<uint8_t> back(count + 1, 0x5a);
      UnpackBits(packed.data() + 1, count, bits, back.data());
      EXPECT_EQ(back.back(), 0x5a);
      back.pop_back();
      EXPECT_EQ(back, codes);
    }
  }
}

TEST(BitPacking, CodesLieLowestBitFirstAndPaddingIsZero) {
  const uint8_t codes[] = {5, 2, 7};  // 101, 010, 111
  uint8_t packed[2] = {0xff, 0xff};
  PackBits(codes, 3, 3, packed);
  EXPECT_EQ(packed[0], 0b11010101);
  EXPECT_EQ(packed[1], 0b00000001);
}

}  // namespace
}  // namespace evopress::quant
