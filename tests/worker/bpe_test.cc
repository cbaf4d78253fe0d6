#include "worker/bpe.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace evopress::worker {
namespace {

BpeOptions Letters() {
  BpeOptions options;
  int32_t id = 0;
  for (const char* token : {"a", "b", "c", "ab", "bc", "abc", "aa", "aaa"}) {
    options.vocab[token] = id++;
  }
  options.merges = {
      {"b", "c"}, {"a", "b"}, {"a", "bc"}, {"a", "a"}, {"a", "aa"}};
  return options;
}

// Merges the best pair again and again by looking at all of them: the
// definition.
std::vector<int32_t> Naive(const BpeOptions& options, const std::string& text) {
  std::vector<std::string> parts;
  for (const char c : text) parts.emplace_back(1, c);
  for (;;) {
    size_t best_rank = options.merges.size(), best = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      for (size_t rank = 0; rank < best_rank; ++rank) {
        if (options.merges[rank] == std::pair(parts[i], parts[i + 1])) {
          best_rank = rank;
          best = i;
        }
      }
    }
    if (best_rank == options.merges.size()) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + best + 1);
  }
  std::vector<int32_t> ids;
  for (const std::string& part : parts) ids.push_back(options.vocab.at(part));
  return ids;
}

TEST(BpeModel, MergesTheBestPairFirst) {
  const BpeOptions options = Letters();
  const auto model = BpeModel::Make(options);
  ASSERT_TRUE(model.ok()) << model.status();
  uint32_t state = 7;
  for (int seed = 0; seed < 2000; ++seed) {
    std::string text;
    for (int n = seed % 17; n > 0; --n) {
      state = state * 1664525 + 1013904223;
      text += "abc"[(state >> 24) % 3];
    }
    std::vector<int32_t> ids;
    (*model)->Encode(text, &ids);
    EXPECT_EQ(ids, Naive(options, text)) << text;
  }
}

TEST(BpeModel, UnknownCharactersAreDroppedMarkedOrSpelledInBytes) {
  BpeOptions options = Letters();
  const auto encode = [](const BpeOptions& o, const std::string& text) {
    std::vector<int32_t> ids;
    auto model = BpeModel::Make(o);
    EXPECT_TRUE(model.ok()) << model.status();
    if (model.ok()) (*model)->Encode(text, &ids);
    return ids;
  };
  EXPECT_EQ(encode(options, "axyb"), (std::vector<int32_t>{3}));
  options.vocab["?"] = 8;
  options.unk_id = 8;
  EXPECT_EQ(encode(options, "axyb"), (std::vector<int32_t>{0, 8, 8, 1}));
  options.fuse_unk = true;
  EXPECT_EQ(encode(options, "axyb"), (std::vector<int32_t>{0, 8, 1}));
  options.byte_fallback = true;
  for (int i = 0; i < 256; ++i) options.byte_ids[i] = 100 + i;
  EXPECT_EQ(encode(options, "a\u00e9"),
            (std::vector<int32_t>{0, 100 + 0xC3, 100 + 0xA9}));
}

TEST(BpeModel, AWholePieceInTheVocabularyNeedsNoMerges) {
  BpeOptions options = Letters();
  options.vocab["cab"] = 8;
  std::vector<int32_t> ids;
  auto model = BpeModel::Make(options);
  ASSERT_TRUE(model.ok());
  (*model)->Encode("cab", &ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{2, 3}));
  options.ignore_merges = true;
  model = BpeModel::Make(options);
  ASSERT_TRUE(model.ok());
  ids.clear();
  (*model)->Encode("cab", &ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{8}));
}

TEST(BpeModel, HigherScoresMergeFirst) {
  BpeOptions options = Letters();
  options.merges.clear();
  for (const auto& [token, id] : options.vocab) options.scores[id] = -10;
  options.scores[options.vocab["ab"]] = -1;
  options.scores[options.vocab["bc"]] = -2;
  std::vector<int32_t> ids;
  auto model = BpeModel::Make(options);
  ASSERT_TRUE(model.ok());
  (*model)->Encode("bcab", &ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{4, 3}));
}

TEST(BpeModel, RefusesAMergeOutsideTheVocabulary) {
  BpeOptions options = Letters();
  options.merges.push_back({"c", "c"});
  const auto model = BpeModel::Make(options);
  EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(model.status().message().find("\"cc\""), std::string::npos);
}

TEST(BpeModel, CutsBeforeMetaspaceOnlyWhereNoTokenForbidsIt) {
  BpeOptions options = Letters();
  const std::string space = "\u2581";
  EXPECT_FALSE((*BpeModel::Make(options))->may_cut_before_metaspace());
  options.vocab[space] = 8;
  options.vocab[space + "a"] = 9;
  options.merges.push_back({space, "a"});
  EXPECT_TRUE((*BpeModel::Make(options))->may_cut_before_metaspace());
  options.vocab["a" + space] = 10;
  options.merges.push_back({"a", space});
  EXPECT_FALSE((*BpeModel::Make(options))->may_cut_before_metaspace());
}

}  // namespace
}  // namespace evopress::worker
