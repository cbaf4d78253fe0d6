#include "worker/token_set.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace evopress::worker {
namespace {

TokenSet Numbers(int64_t sequences, int64_t length) {
  std::vector<int32_t> ids(sequences * length);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i);
  auto set = TokenSet::Make(ids, length, 1000, "c4");
  EXPECT_TRUE(set.ok()) << set.status();
  return *set;
}

TEST(TokenSet, ParsingGivesBackWhatWasSerialized) {
  for (int64_t sequences = 0; sequences < 5; ++sequences) {
    for (int64_t length = 1; length < 5; ++length) {
      const TokenSet set = Numbers(sequences, length);
      const auto parsed = TokenSet::Parse(set.Serialize());
      ASSERT_TRUE(parsed.ok()) << parsed.status();
      EXPECT_EQ(*parsed, set);
      EXPECT_EQ(parsed->ContentHash(), set.ContentHash());
      EXPECT_EQ(parsed->num_sequences(), sequences);
    }
  }
}

TEST(TokenSet, NoDamagedByteAndNoOtherLengthIsAccepted) {
  const std::string bytes = Numbers(3, 4).Serialize();
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const int flip : {1, 0x80, 0xFF}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      EXPECT_EQ(TokenSet::Parse(damaged).status().code(),
                absl::StatusCode::kDataLoss)
          << i;
    }
    EXPECT_EQ(TokenSet::Parse(bytes.substr(0, i)).status().code(),
              absl::StatusCode::kDataLoss);
  }
  EXPECT_FALSE(TokenSet::Parse(bytes + '\0').ok());
}

TEST(TokenSet, RefusesIdsOutsideTheVocabularyAndRaggedSequences) {
  EXPECT_FALSE(TokenSet::Make({0, 5}, 2, 5, "").ok());
  EXPECT_FALSE(TokenSet::Make({0, -1}, 2, 5, "").ok());
  EXPECT_FALSE(TokenSet::Make({0, 1, 2}, 2, 5, "").ok());
  EXPECT_FALSE(TokenSet::Make({}, 0, 5, "").ok());
}

TEST(TokenSet, SlicesAreDisjointAndSayHowManySequencesThereAre) {
  const TokenSet set = Numbers(5, 3);
  const auto slice = set.Slice(1, 2);
  ASSERT_TRUE(slice.ok()) << slice.status();
  EXPECT_EQ(slice->num_sequences(), 2);
  EXPECT_EQ(slice->sequence(0), set.sequence(1));
  EXPECT_EQ(slice->sequence(1), set.sequence(2));
  EXPECT_NE(slice->ContentHash(), set.ContentHash());
  const auto beyond = set.Slice(4, 2);
  EXPECT_EQ(beyond.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_NE(beyond.status().message().find("only 5"), std::string::npos);
  EXPECT_FALSE(set.Slice(-1, 1).ok());
  EXPECT_FALSE(set.Slice(0, INT64_MAX).ok());
}

}  // namespace
}  // namespace evopress::worker
