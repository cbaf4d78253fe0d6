#include "quant/packed_weight.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "quant/bit_packing.h"
#include "quant/half.h"
#include "quant/packed_rows.h"
#include "search/sha256.h"

namespace evopress::quant {
namespace {

using testing::HasSubstr;

PackedWeight RandomWeight(uint64_t seed, int64_t rows, int64_t cols, int bits,
                          int group, bool symmetric, bool permuted) {
  std::mt19937_64 rng(seed);
  PackedWeight w;
  w.rows = rows;
  w.cols = cols;
  w.bits = bits;
  w.group_size = group;
  w.symmetric = symmetric;
  std::vector<uint8_t> codes(cols);
  w.codes.resize(rows * PackedBytes(cols, bits));
  for (int64_t r = 0; r < rows; ++r) {
    for (uint8_t& code : codes) code = rng() & ((1 << bits) - 1);
    PackBits(codes.data(), cols, bits,
             w.codes.data() + r * PackedBytes(cols, bits));
  }
  const int64_t grids = rows * w.groups();
  w.scales.resize(grids);
  for (uint16_t& scale : w.scales) {
    scale = FloatToHalf(static_cast<float>(rng() % 1000) * 1e-4f);
  }
  if (!symmetric) {
    std::vector<uint8_t> zeros(grids);
    for (uint8_t& zero : zeros) zero = rng() & ((1 << bits) - 1);
    w.zeros.resize(PackedBytes(grids, bits));
    PackBits(zeros.data(), grids, bits, w.zeros.data());
  }
  if (permuted) {
    for (int64_t c = 0; c < cols; ++c) {
      w.group_of_column.push_back(static_cast<uint16_t>(rng() % w.groups()));
    }
  }
  return w;
}

// Every third weight is kept; bits 16 are float16 numbers.
PackedWeight SparseWeight(uint64_t seed, int64_t rows, int64_t cols, int bits,
                          int group, bool symmetric) {
  std::mt19937_64 rng(seed);
  PackedWeight w;
  if (bits < kFloat16Bits) {
    w = RandomWeight(seed, rows, cols, bits, group, symmetric, false);
  }
  w.rows = rows;
  w.cols = cols;
  w.bits = bits;
  w.positions.resize(PackedBytes(rows * cols, 1));
  for (int64_t i = 0; i < rows * cols; ++i) {
    if (rng() % 3 == 0) w.positions[i / 8] |= 1 << (i % 8);
  }
  const int64_t kept = KeptWeights(w);
  w.codes.assign((kept * bits + 7) / 8, 0);
  if (bits < kFloat16Bits) {
    std::vector<uint8_t> codes(kept);
    for (uint8_t& code : codes) code = rng() & ((1 << bits) - 1);
    PackBits(codes.data(), kept, bits, w.codes.data());
    return w;
  }
  for (int64_t i = 0; i < kept; ++i) {
    const uint16_t half = FloatToHalf(static_cast<float>(rng() % 1000) - 500);
    w.codes[2 * i] = half & 0xff;
    w.codes[2 * i + 1] = half >> 8;
  }
  return w;
}

absl::Span<const uint8_t> BytesOf(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// `text` with a trailer that fits: damage that only sense can find.
std::string Resealed(std::string text) {
  text.resize(text.size() - 32);
  const search::Sha256Digest digest =
      search::Sha256Of(text.data(), text.size());
  text.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  return text;
}

TEST(PackedWeight, UnpacksToScaleTimesCodeMinusZero) {
  PackedWeight w;
  w.rows = 2;
  w.cols = 4;
  w.bits = 2;
  w.group_size = 2;
  w.codes = {0b11100100, 0b00011011};  // 0 1 2 3 | 3 2 1 0
  w.scales = {FloatToHalf(1), FloatToHalf(0.5f), FloatToHalf(2),
              FloatToHalf(-1)};
  w.zeros = {0b11100100};  // 0 1 | 2 3
  std::vector<float> out(8);
  ASSERT_TRUE(Unpack(w, absl::MakeSpan(out)).ok());
  EXPECT_THAT(out, testing::ElementsAre(0, 1, 0.5f, 1, 2, 0, 2, 3));
  w.symmetric = true;
  w.zeros.clear();
  ASSERT_TRUE(Unpack(w, absl::MakeSpan(out)).ok());
  EXPECT_THAT(out, testing::ElementsAre(-2, -1, 0, 0.5f, 2, 0, 1, 2));
  w.group_of_column = {1, 0, 1, 0};
  ASSERT_TRUE(Unpack(w, absl::MakeSpan(out)).ok());
  EXPECT_THAT(out, testing::ElementsAre(-1, -1, 0, 1, -1, 0, 1, -4));
  out.resize(7);
  EXPECT_FALSE(Unpack(w, absl::MakeSpan(out)).ok());
}

TEST(PackedWeight, EveryShapeSurvivesItsBlob) {
  uint64_t seed = 0;
  for (int bits = 2; bits <= 8; ++bits) {
    for (const bool symmetric : {false, true}) {
      for (const bool permuted : {false, true}) {
        for (const auto& [rows, cols, group] :
             {std::tuple{1, 1, 1}, {1, 37, 37}, {5, 36, 12}, {64, 48, 16}}) {
          const PackedWeight w = RandomWeight(++seed, rows, cols, bits, group,
                                              symmetric, permuted);
          ASSERT_TRUE(Validate(w).ok()) << Validate(w);
          const std::string blob = SerializeBlob(w);
          const auto back = ParseBlob(BytesOf(blob));
          ASSERT_TRUE(back.ok()) << back.status();
          EXPECT_EQ(SerializeBlob(*back), blob);
          std::vector<float> a(rows * cols);
          std::vector<float> b(rows * cols);
          ASSERT_TRUE(Unpack(w, absl::MakeSpan(a)).ok());
          ASSERT_TRUE(Unpack(*back, absl::MakeSpan(b)).ok());
          EXPECT_EQ(a, b);
        }
      }
    }
  }
}

TEST(PackedWeight, EveryTruncationAndBitFlipIsDataLoss) {
  const std::string blob =
      SerializeBlob(RandomWeight(5, 3, 20, 3, 10, false, true));
  for (size_t size = 0; size < blob.size(); ++size) {
    const std::string cut = blob.substr(0, size);
    EXPECT_TRUE(absl::IsDataLoss(ParseBlob(BytesOf(cut)).status())) << size;
    if (size < 32) continue;
    const std::string sealed = Resealed(cut);
    EXPECT_TRUE(absl::IsDataLoss(ParseBlob(BytesOf(sealed)).status())) << size;
  }
  EXPECT_TRUE(absl::IsDataLoss(ParseBlob(BytesOf(blob + "x")).status()));
  for (size_t i = 0; i < blob.size() * 8; ++i) {
    std::string damaged = blob;
    damaged[i / 8] ^= static_cast<char>(1 << (i % 8));
    EXPECT_TRUE(absl::IsDataLoss(ParseBlob(BytesOf(damaged)).status())) << i;
    // With the checksum made good, the blob is refused or canonical.
    const std::string sealed = Resealed(damaged);
    const auto parsed = ParseBlob(BytesOf(sealed));
    if (parsed.ok()) {
      EXPECT_EQ(SerializeBlob(*parsed), sealed) << i;
    } else {
      EXPECT_TRUE(absl::IsDataLoss(parsed.status())) << i;
    }
  }
}

TEST(PackedWeight, HugeClaimsAreRefusedBeforeMemoryIsTaken) {
  const std::string blob =
      SerializeBlob(RandomWeight(6, 3, 20, 3, 10, false, false));
  for (size_t field = 0; field < 7; ++field) {
    for (const uint64_t value :
         {uint64_t{0}, uint64_t{1} << 31, uint64_t{1} << 40, UINT64_MAX / 2,
          UINT64_MAX - 1, UINT64_MAX}) {
      std::string damaged = blob;
      std::memcpy(damaged.data() + 8 + 8 * field, &value, sizeof(value));
      damaged = Resealed(damaged);
      const auto parsed = ParseBlob(BytesOf(damaged));
      if (!parsed.ok()) {
        EXPECT_TRUE(absl::IsDataLoss(parsed.status()));
      } else {
        EXPECT_EQ(SerializeBlob(*parsed), blob);
      }
    }
  }
}

TEST(PackedWeight, SparseWeightsRoundTripAndCostWhatTheyStore) {
  for (const int bits : {2, 3, 8, 16}) {
    for (const bool symmetric : {false, true}) {
      if (bits == 16 && symmetric) continue;
      const PackedWeight w = SparseWeight(bits, 5, 20, bits, 10, symmetric);
      ASSERT_TRUE(Validate(w).ok()) << Validate(w);
      const int64_t kept = KeptWeights(w);
      const int64_t grids = bits == 16 ? 0 : 10;
      EXPECT_EQ(StoredBits(w),
                100 + kept * bits + grids * (16 + (symmetric ? 0 : bits)));
      const std::string blob = SerializeBlob(w);
      const auto parsed = ParseBlob(BytesOf(blob));
      ASSERT_TRUE(parsed.ok()) << parsed.status();
      EXPECT_EQ(SerializeBlob(*parsed), blob);
      std::vector<float> values(100), again(100);
      ASSERT_TRUE(Unpack(w, absl::MakeSpan(values)).ok());
      ASSERT_TRUE(Unpack(*parsed, absl::MakeSpan(again)).ok());
      EXPECT_EQ(values, again);
      for (int i = 0; i < 100; ++i) {
        const bool is_kept = (w.positions[i / 8] >> (i % 8) & 1) != 0;
        EXPECT_TRUE(is_kept || values[i] == 0) << i;
      }
    }
  }
}

TEST(PackedWeight, SparseValuesAreThoseOfTheDenseFormula) {
  // With all positions set and rows that fill bytes, codes are laid out alike.
  const PackedWeight dense = RandomWeight(3, 4, 16, 4, 8, false, false);
  PackedWeight sparse = dense;
  sparse.positions.assign(8, 0xff);
  std::vector<float> want(64), got(64);
  ASSERT_TRUE(Unpack(dense, absl::MakeSpan(want)).ok());
  ASSERT_TRUE(Unpack(sparse, absl::MakeSpan(got)).ok());
  EXPECT_EQ(got, want);
  // 1.5 and -2 in float16, at columns 1 and 3.
  PackedWeight numbers;
  numbers.rows = 1;
  numbers.cols = 4;
  numbers.bits = kFloat16Bits;
  numbers.positions = {0b1010};
  numbers.codes = {0x00, 0x3e, 0x00, 0xc0};
  std::vector<float> four(4);
  ASSERT_TRUE(Unpack(numbers, absl::MakeSpan(four)).ok());
  EXPECT_EQ(four, (std::vector<float>{0, 1.5f, 0, -2}));
}

TEST(PackedWeight, DamagedSparseBlobsAreDataLossOrCanonical) {
  for (const int bits : {3, 16}) {
    const std::string blob =
        SerializeBlob(SparseWeight(9, 3, 20, bits, 10, false));
    for (size_t size = 0; size < blob.size(); ++size) {
      EXPECT_TRUE(
          absl::IsDataLoss(ParseBlob(BytesOf(blob.substr(0, size))).status()));
    }
    for (size_t at = 0; at + 32 < blob.size(); ++at) {
      for (const int bit : {0, 3, 7}) {
        std::string damaged = blob;
        damaged[at] ^= static_cast<char>(1 << bit);
        EXPECT_TRUE(absl::IsDataLoss(ParseBlob(BytesOf(damaged)).status()));
        damaged = Resealed(damaged);
        const auto parsed = ParseBlob(BytesOf(damaged));
        if (parsed.ok()) {
          EXPECT_EQ(SerializeBlob(*parsed), damaged);
        } else {
          EXPECT_TRUE(absl::IsDataLoss(parsed.status())) << parsed.status();
        }
      }
    }
  }
}

TEST(PackedWeight, InconsistentSparseWeightsAreInvalid) {
  const auto expect_invalid = [&](int bits, auto change) {
    PackedWeight w = SparseWeight(7, 3, 20, bits, 10, false);
    ASSERT_TRUE(Validate(w).ok());
    change(&w);
    EXPECT_EQ(Validate(w).code(), absl::StatusCode::kInvalidArgument);
  };
  for (const int bits : {3, 16}) {
    expect_invalid(bits, [](PackedWeight* w) { w->positions.pop_back(); });
    expect_invalid(bits, [](PackedWeight* w) { w->positions.back() |= 0x80; });
    expect_invalid(bits, [](PackedWeight* w) {
      std::fill_n(w->positions.begin(), 7, 0xff);
    });
    expect_invalid(bits, [](PackedWeight* w) { w->codes.push_back(0); });
    expect_invalid(bits, [](PackedWeight* w) { w->positions.clear(); });
    expect_invalid(bits, [](PackedWeight* w) { w->bits = 9; });
  }
  expect_invalid(16, [](PackedWeight* w) { w->codes[1] = 0x7c; });
  expect_invalid(16, [](PackedWeight* w) { w->group_size = 10; });
  expect_invalid(16, [](PackedWeight* w) { w->symmetric = true; });
  expect_invalid(16, [](PackedWeight* w) { w->scales.push_back(0); });
}

TEST(PackedWeight, InconsistentWeightsAreInvalid) {
  const PackedWeight good = RandomWeight(7, 3, 20, 3, 10, false, true);
  const auto expect_invalid = [&](auto change) {
    PackedWeight w = good;
    change(&w);
    EXPECT_EQ(Validate(w).code(), absl::StatusCode::kInvalidArgument);
    std::vector<float> out(60);
    EXPECT_FALSE(Unpack(w, absl::MakeSpan(out)).ok());
  };
  expect_invalid([](PackedWeight* w) { w->rows = -1; });
  expect_invalid([](PackedWeight* w) { w->rows = INT64_MAX; });
  expect_invalid([](PackedWeight* w) { w->bits = 9; });
  expect_invalid([](PackedWeight* w) { w->group_size = 0; });
  expect_invalid([](PackedWeight* w) { w->group_size = 7; });
  expect_invalid([](PackedWeight* w) { w->codes.pop_back(); });
  expect_invalid([](PackedWeight* w) { w->codes[7] |= 0x80; });
  expect_invalid([](PackedWeight* w) { w->scales.push_back(0); });
  expect_invalid([](PackedWeight* w) { w->scales[2] = 0x7c00; });
  expect_invalid([](PackedWeight* w) { w->scales[2] = 0xfe00; });
  expect_invalid([](PackedWeight* w) { w->zeros.clear(); });
  expect_invalid([](PackedWeight* w) { w->zeros.back() |= 0x80; });
  expect_invalid([](PackedWeight* w) { w->symmetric = true; });
  expect_invalid([](PackedWeight* w) { w->group_of_column[3] = 2; });
  expect_invalid([](PackedWeight* w) { w->group_of_column.pop_back(); });
}

TEST(PackedWeight, ADamagedFileIsDataLossNamingIt) {
  const std::string path =
      testing::TempDir() + "/evopress_packed_weight_test.blob";
  std::string blob = SerializeBlob(RandomWeight(8, 3, 20, 3, 10, false, false));
  std::ofstream(path, std::ios::binary) << blob;
  EXPECT_TRUE(ReadBlob(path).ok());
  blob[80] ^= 4;
  std::ofstream(path, std::ios::binary) << blob;
  const auto damaged = ReadBlob(path);
  EXPECT_TRUE(absl::IsDataLoss(damaged.status()));
  EXPECT_THAT(std::string(damaged.status().message()), HasSubstr(path));
  std::remove(path.c_str());
  EXPECT_TRUE(absl::IsNotFound(ReadBlob(path).status()));
}

TEST(PackedRowsTest, AnyRowsAreThoseOfTheWholeWeight) {
  std::vector<PackedWeight> weights;
  for (const int bits : {2, 3, 5, 8}) {
    weights.push_back(RandomWeight(bits, 23, 24, bits, 8, false, false));
    weights.push_back(RandomWeight(bits, 23, 20, bits, 20, true, false));
    weights.push_back(RandomWeight(bits, 23, 24, bits, 4, false, true));
    weights.push_back(SparseWeight(bits, 23, 24, bits, 8, false));
  }
  weights.push_back(SparseWeight(1, 23, 21, kFloat16Bits, 0, false));
  for (const PackedWeight& weight : weights) {
    std::vector<float> whole(weight.rows * weight.cols);
    ASSERT_TRUE(Unpack(weight, absl::MakeSpan(whole)).ok());
    const auto rows = PackedRows::Create(weight);
    ASSERT_TRUE(rows.ok()) << rows.status();
    for (int64_t first = 0; first < weight.rows; ++first) {
      for (int64_t count = 0; count <= weight.rows - first; ++count) {
        std::vector<float> some(count * weight.cols, -1);
        ASSERT_TRUE(rows->Unpack(first, count, absl::MakeSpan(some)).ok());
        ASSERT_TRUE(std::equal(some.begin(), some.end(),
                               whole.begin() + first * weight.cols))
            << weight.bits << " bits, rows " << first << " + " << count;
      }
    }
    std::vector<float> none;
    EXPECT_FALSE(rows->Unpack(24, 0, absl::MakeSpan(none)).ok());
    EXPECT_FALSE(rows->Unpack(-1, 0, absl::MakeSpan(none)).ok());
  }
}

}  // namespace
}  // namespace evopress::quant
