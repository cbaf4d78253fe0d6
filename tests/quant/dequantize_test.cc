#include "quant/dequantize.h"

#include <bit>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "search/sha256.h"
#include "tests/quant/test_files.h"

namespace evopress::quant {
namespace {

// Where f16 scales lie in a block: see make_gguf_goldens.py.
const std::map<std::string, std::vector<size_t>>& ScaleOffsets() {
  static const std::map<std::string, std::vector<size_t>> offsets = {
      {"F16", {0}},     {"Q4_0", {0}},    {"Q4_1", {0, 2}},   {"Q5_0", {0}},
      {"Q5_1", {0, 2}}, {"Q8_0", {0}},    {"Q2_K", {80, 82}}, {"Q3_K", {108}},
      {"Q4_K", {0, 2}}, {"Q5_K", {0, 2}}, {"Q6_K", {208}},    {"IQ2_XXS", {0}},
      {"IQ2_XS", {0}},  {"IQ2_S", {0}},   {"IQ3_XXS", {0}},   {"IQ3_S", {0}},
      {"IQ1_S", {0}},   {"IQ4_NL", {0}},  {"IQ4_XS", {0}},    {"TQ1_0", {52}},
      {"TQ2_0", {64}}};
  return offsets;
}

// The same blocks as make_blocks() of make_gguf_goldens.py.
std::vector<uint8_t> MakeBlocks(const GgmlTypeTraits& traits, int64_t count,
                                uint64_t seed) {
  const size_t size = static_cast<size_t>(traits.block_bytes);
  std::vector<uint8_t> bytes(static_cast<size_t>(count) * size);
  SplitMix64 random(static_cast<uint64_t>(traits.type) + 1000 * seed);
  for (size_t i = 0; i < bytes.size(); i += 8) {
    const uint64_t word = random.Next();
    std::memcpy(&bytes[i], &word, std::min<size_t>(8, bytes.size() - i));
  }
  for (size_t block = 0; block < bytes.size(); block += size) {
    const auto scales = ScaleOffsets().find(traits.name);
    if (scales != ScaleOffsets().end()) {
      for (const size_t offset : scales->second) {
        uint8_t& high = bytes[block + offset + 1];
        if ((high & 0x7c) == 0x7c) high &= 0xbf;
      }
    }
    if (traits.type == GgmlType::kIQ1_M) bytes[block + 53] &= 0xbf;
    if (traits.type == GgmlType::kF32) bytes[block + 3] &= 0xbf;
    if (traits.type == GgmlType::kBF16) bytes[block + 1] &= 0xbf;
  }
  return bytes;
}

nlohmann::json Goldens() {
  // tests/show.sh makes goldens of its own, from other seeds.
  const char* const other = std::getenv("EVOPRESS_GGUF_GOLDENS");
  return nlohmann::json::parse(
      ReadWholeFile(other != nullptr ? other : Golden("gguf_blocks.json")));
}

TEST(Dequantize, EveryTypeHasTheBitsOfTheGgufPackage) {
  const nlohmann::json goldens = Goldens();
  for (const auto& [name, golden] : goldens.items()) {
    SCOPED_TRACE(name);
    const GgmlTypeTraits* traits = FindGgmlType(name);
    ASSERT_NE(traits, nullptr);
    const int64_t count = golden["blocks"].get<int64_t>();
    const std::vector<uint8_t> bytes =
        MakeBlocks(*traits, count, golden.value("seed", uint64_t{0}));
    std::vector<float> out(static_cast<size_t>(count * traits->block_elements));
    const absl::Status status =
        Dequantize(traits->type, bytes, absl::MakeSpan(out));
    ASSERT_TRUE(status.ok()) << status;
    for (size_t i = 0; i < golden["first"].size(); ++i) {
      EXPECT_EQ(absl::StrFormat("%08x", std::bit_cast<uint32_t>(out[i])),
                golden["first"][i].get<std::string>())
          << i;
    }
    EXPECT_EQ(
        search::ToHex(search::Sha256Of(out.data(), out.size() * sizeof(float))),
        golden["sha256"].get<std::string>());
  }
}

TEST(Dequantize, TheGoldensCoverEveryDequantizer) {
  const nlohmann::json goldens = Goldens();
  for (const GgmlTypeTraits& traits : AllGgmlTypes()) {
    EXPECT_EQ(FindDequantizer(traits.type) != nullptr,
              goldens.contains(traits.name))
        << traits.name;
  }
}

TEST(Dequantize, EveryBytePatternIsReadWithoutLeavingTheBlock) {
  // Exactly one block on the heap: sanitizers see any step outside.
  for (const GgmlTypeTraits& traits : AllGgmlTypes()) {
    const DequantizeBlocks dequantize = FindDequantizer(traits.type);
    if (dequantize == nullptr) continue;
    SCOPED_TRACE(traits.name);
    for (const int fill : {0x00, 0xff, 0x80, 0x7f}) {
      const std::vector<uint8_t> block(static_cast<size_t>(traits.block_bytes),
                                       static_cast<uint8_t>(fill));
      std::vector<float> out(static_cast<size_t>(traits.block_elements));
      dequantize(block.data(), 1, out.data());
    }
  }
}

TEST(Dequantize, RefusesPartsOfBlocksAndTypesWithoutValues) {
  std::vector<uint8_t> bytes(36);
  std::vector<float> out(64);
  EXPECT_TRUE(Dequantize(GgmlType::kQ4_0, bytes, absl::MakeSpan(out)).ok());
  EXPECT_EQ(
      Dequantize(GgmlType::kQ4_0, bytes, absl::MakeSpan(out).first(63)).code(),
      absl::StatusCode::kInvalidArgument);
  bytes.pop_back();
  EXPECT_EQ(Dequantize(GgmlType::kQ4_0, bytes, absl::MakeSpan(out)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Dequantize(GgmlType::kI32, bytes, absl::MakeSpan(out)).code(),
            absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace evopress::quant
