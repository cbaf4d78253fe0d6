#include "quant/compressor.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/quant/random_layer.h"

namespace evopress::quant {
namespace {

TEST(Compressor, CostsAreKnownBeforehandAndEqualWhatIsStored) {
  const RandomLayer layer = MakeRandomLayer(1, 9, 48, 60);
  for (const std::string method : {"rtn", "gptq"}) {
    const auto compressor = FindCompressor(method);
    ASSERT_TRUE(compressor.ok()) << compressor.status();
    for (int bits = 2; bits <= 8; ++bits) {
      for (const int group : {0, 4, 16, 48}) {
        for (int options = 0; options < 8; ++options) {
          const search::LevelName level = MakeLevel(
              method, bits, group, (options & 1) != 0,
              (options & 2) != 0 && method == "gptq", (options & 4) != 0);
          const auto costs = CostsOf(layer.shape, level);
          ASSERT_TRUE(costs.ok()) << costs.status();
          const auto made = (*compressor)->Compress(layer.Context(), {level});
          ASSERT_TRUE(made.ok()) << made.status();
          ASSERT_TRUE(Validate((*made)[0].weight).ok());
          EXPECT_EQ(costs->code_bits, 9 * 48 * bits);
          EXPECT_EQ(costs->nonzeros, 9 * 48);
          EXPECT_EQ(costs->stored_bits, StoredBits((*made)[0].weight));
          EXPECT_EQ((*made)[0].costs.stored_bits, costs->stored_bits);
          EXPECT_EQ((*made)[0].costs.code_bits, costs->code_bits);
        }
      }
    }
  }
}

TEST(Compressor, TwoBitsInGroupsOf64Cost228Or225Bits) {
  const WeightShape shape = {576, 1536};
  const double weights = 576 * 1536;
  EXPECT_NEAR(CostsOf(shape, MakeLevel("gptq", 2, 64))->stored_bits / weights,
              2.28125, 1e-12);
  EXPECT_NEAR(
      CostsOf(shape, MakeLevel("gptq", 2, 64, true))->stored_bits / weights,
      2.25, 1e-12);
}

TEST(Compressor, KeptLayersCost16BitsAWeightAndDroppedOnesNothing) {
  search::LevelName level;
  level.method = "keep";
  EXPECT_EQ(CostsOf({3, 5}, level)->stored_bits, 240);
  EXPECT_EQ(CostsOf({3, 5}, level)->code_bits, 240);
  EXPECT_EQ(CostsOf({3, 5}, level)->nonzeros, 15);
  level.method = "drop";
  EXPECT_EQ(CostsOf({3, 5}, level)->stored_bits, 0);
  EXPECT_EQ(CostsOf({3, 5}, level)->nonzeros, 0);
}

TEST(Compressor, UnknownMethodsAreNotFoundAndTheKnownAreListed) {
  const auto found = FindCompressor("magic");
  EXPECT_TRUE(absl::IsNotFound(found.status()));
  EXPECT_THAT(std::string(found.status().message()),
              testing::AllOf(testing::HasSubstr("magic"),
                             testing::HasSubstr("gptq, magnitude, rtn")));
}

TEST(Compressor, ImpossibleShapesAreRefused) {
  for (const WeightShape shape : {WeightShape{0, 4}, WeightShape{4, -1},
                                  WeightShape{INT64_MAX, INT64_MAX}}) {
    EXPECT_FALSE(CostsOf(shape, MakeLevel("rtn", 4, 0)).ok());
    search::LevelName keep;
    keep.method = "keep";
    EXPECT_FALSE(CostsOf(shape, keep).ok());
  }
}

}  // namespace
}  // namespace evopress::quant
