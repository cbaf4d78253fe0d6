#include "quant/level_store.h"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/quant/random_layer.h"

namespace evopress::quant {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

LevelKey KeyOf(const std::string& layer, const std::string& level) {
  return {"variant", layer, level, "statistics", "cpu-avx2"};
}

CompressedLayer LayerOf(uint64_t seed, int bits) {
  const RandomLayer layer = MakeRandomLayer(seed, 4, 32, 8);
  auto made = (*FindCompressor("rtn"))
                  ->Compress(layer.Context(), {MakeLevel("rtn", bits, 16)});
  EXPECT_TRUE(made.ok()) << made.status();
  return std::move((*made)[0]);
}

std::string Contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void Overwrite(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

class LevelStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "/evopress_level_store_" +
                 testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(directory_);
    Reopen();
  }
  void TearDown() override { fs::remove_all(directory_); }

  void Reopen() {
    auto store = LevelStore::Open(directory_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  std::vector<std::string> FilesIn(const std::string& part) const {
    std::vector<std::string> paths;
    for (const auto& entry : fs::directory_iterator(directory_ + "/" + part)) {
      paths.push_back(entry.path().string());
    }
    return paths;
  }

  std::string directory_;
  std::unique_ptr<LevelStore> store_;
};

TEST_F(LevelStoreTest, WhatIsPutComesBackAfterReopening) {
  const CompressedLayer two = LayerOf(1, 2);
  const CompressedLayer three = LayerOf(1, 3);
  const auto put = store_->Put(
      {{KeyOf("down", "rtn:b2"), &two}, {KeyOf("down", "rtn:b3"), &three}});
  ASSERT_TRUE(put.ok()) << put.status();
  ASSERT_TRUE(store_->Put({{KeyOf("up", "rtn:b2"), &two}}).ok());
  Reopen();
  const auto found = store_->Find(KeyOf("down", "rtn:b3"));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->blob, (*put)[1].blob);
  EXPECT_EQ(found->costs.stored_bits, three.costs.stored_bits);
  EXPECT_EQ(found->costs.code_bits, three.costs.code_bits);
  EXPECT_EQ(found->relative_error, three.relative_error);
  const auto weight = store_->Read(KeyOf("down", "rtn:b3"));
  ASSERT_TRUE(weight.ok()) << weight.status();
  EXPECT_EQ(SerializeBlob(*weight), SerializeBlob(three.weight));
  const auto list = store_->List();
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->size(), 3u);
  EXPECT_EQ((*list)[0].key, KeyOf("down", "rtn:b2"));
  EXPECT_EQ((*list)[2].key, KeyOf("up", "rtn:b2"));
  EXPECT_EQ(FilesIn("blobs").size(), 2u);  // equal contents share a blob
  EXPECT_TRUE(store_->Verify().ok()) << store_->Verify();
}

TEST_F(LevelStoreTest, EveryPartOfTheKeyCounts) {
  const CompressedLayer layer = LayerOf(1, 2);
  const LevelKey key = KeyOf("down", "rtn:b2");
  ASSERT_TRUE(store_->Put({{key, &layer}}).ok());
  for (std::string LevelKey::*part :
       {&LevelKey::variant, &LevelKey::layer, &LevelKey::level,
        &LevelKey::statistics, &LevelKey::numeric_class}) {
    LevelKey other = key;
    other.*part += "x";
    EXPECT_TRUE(absl::IsNotFound(store_->Find(other).status()));
    EXPECT_TRUE(absl::IsNotFound(store_->Read(other).status()));
  }
  LevelKey broken = key;
  broken.layer = "\xff\xfe";
  EXPECT_EQ(store_->Put({{broken, &layer}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->Find(broken).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(LevelStoreTest, NoDamagedByteOfABlobIsEverReturned) {
  const CompressedLayer layer = LayerOf(1, 2);
  const LevelKey key = KeyOf("down", "rtn:b2");
  ASSERT_TRUE(store_->Put({{key, &layer}}).ok());
  const std::string path = FilesIn("blobs").at(0);
  const std::string good = Contents(path);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string damaged = good;
    damaged[i] ^= static_cast<char>(1 << (i % 8));
    for (const std::string& text : {damaged, good.substr(0, i)}) {
      Overwrite(path, text);
      const absl::Status status = store_->Read(key).status();
      ASSERT_TRUE(absl::IsDataLoss(status)) << i;
      EXPECT_THAT(std::string(status.message()), HasSubstr(path));
    }
  }
  const absl::Status verified = store_->Verify();
  EXPECT_TRUE(absl::IsDataLoss(verified));
  EXPECT_THAT(std::string(verified.message()), HasSubstr(path));
  fs::remove(path);
  EXPECT_TRUE(absl::IsDataLoss(store_->Read(key).status()));
  EXPECT_TRUE(absl::IsDataLoss(store_->Verify()));
  // Putting it again makes it whole.
  ASSERT_TRUE(store_->Put({{key, &layer}}).ok());
  EXPECT_TRUE(store_->Read(key).ok());
  EXPECT_TRUE(store_->Verify().ok());
}

TEST_F(LevelStoreTest, ADamagedIndexIsDataLossUntilPutAgain) {
  const CompressedLayer layer = LayerOf(1, 2);
  const LevelKey key = KeyOf("down", "rtn:b2");
  ASSERT_TRUE(store_->Put({{key, &layer}}).ok());
  const std::string path = FilesIn("index").at(0);
  const std::string good = Contents(path);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string damaged = good;
    damaged[i] ^= 0x04;
    for (const std::string& text : {damaged, good.substr(0, i)}) {
      Overwrite(path, text);
      const absl::Status status = store_->Find(key).status();
      ASSERT_TRUE(absl::IsDataLoss(status)) << i;
      EXPECT_THAT(std::string(status.message()), HasSubstr(path));
    }
  }
  EXPECT_TRUE(absl::IsDataLoss(store_->List().status()));
  EXPECT_TRUE(absl::IsDataLoss(store_->Verify()));
  EXPECT_TRUE(absl::IsDataLoss(store_->RemoveUnreferenced().status()));
  EXPECT_EQ(FilesIn("blobs").size(), 1u);
  ASSERT_TRUE(store_->Put({{key, &layer}}).ok());
  EXPECT_TRUE(store_->Read(key).ok());
}

TEST_F(LevelStoreTest, OnlyUnreferencedBlobsAndLeftoversAreRemoved) {
  const CompressedLayer two = LayerOf(1, 2);
  const CompressedLayer three = LayerOf(1, 3);
  ASSERT_TRUE(store_
                  ->Put({{KeyOf("down", "rtn:b2"), &two},
                         {KeyOf("down", "rtn:b3"), &three}})
                  .ok());
  Overwrite(directory_ + "/blobs/abc.tmp.123456", "left by a dead writer");
  ASSERT_TRUE(store_->Remove(KeyOf("down", "rtn:b3")).ok());
  EXPECT_TRUE(absl::IsNotFound(store_->Remove(KeyOf("down", "rtn:b3"))));
  const auto before = store_->TotalBytes();
  const auto freed = store_->RemoveUnreferenced();
  const auto after = store_->TotalBytes();
  ASSERT_TRUE(before.ok() && freed.ok() && after.ok());
  EXPECT_EQ(*freed, *before - *after);
  EXPECT_EQ(*freed,
            static_cast<int64_t>(SerializeBlob(three.weight).size()) + 21);
  EXPECT_TRUE(store_->Read(KeyOf("down", "rtn:b2")).ok());
  ASSERT_TRUE(store_->Remove(KeyOf("down", "rtn:b2")).ok());
  ASSERT_TRUE(store_->RemoveUnreferenced().ok());
  EXPECT_EQ(*store_->TotalBytes(), 0);
  EXPECT_TRUE(store_->List()->empty());
}

TEST_F(LevelStoreTest, AFullDiskIsResourceExhaustedAndLeavesNothing) {
  const CompressedLayer layer = LayerOf(1, 2);
  rlimit old;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, SIG_IGN);
  // 100 bytes stop the blob, 300 the index file.
  for (const rlim_t limit : {rlim_t{100}, rlim_t{300}}) {
    rlimit low = old;
    low.rlim_cur = limit;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
    const auto put = store_->Put({{KeyOf("down", "rtn:b2"), &layer}});
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
    EXPECT_TRUE(absl::IsResourceExhausted(put.status())) << put.status();
    EXPECT_THAT(std::string(put.status().message()), HasSubstr(directory_));
    EXPECT_TRUE(
        absl::IsNotFound(store_->Find(KeyOf("down", "rtn:b2")).status()));
    EXPECT_TRUE(FilesIn("index").empty());
    EXPECT_EQ(FilesIn("blobs").size(), limit == 100 ? 0u : 1u);
    EXPECT_TRUE(store_->Verify().ok());
  }
}

TEST_F(LevelStoreTest, ManyWritersLoseNothing) {
  const CompressedLayer layer = LayerOf(1, 2);
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t) {
    writers.emplace_back([&, t] {
      auto own = LevelStore::Open(directory_);
      ASSERT_TRUE(own.ok());
      for (int i = 0; i < 8; ++i) {
        const std::string level = "level" + std::to_string(t * 8 + i);
        EXPECT_TRUE((*own)->Put({{KeyOf("down", level), &layer}}).ok());
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(store_->List()->size(), 32u);
}

TEST_F(LevelStoreTest, RealisticLayersTakeTwoPercentMoreThanTheirBits) {
  int64_t bits = 0;
  std::vector<CompressedLayer> layers;
  std::vector<NewLevel> levels;
  // k_proj of SmolLM2-135M, the smallest layer there.
  const RandomLayer random = MakeRandomLayer(3, 192, 576, 1);
  for (int b = 2; b <= 6; ++b) {
    auto made = (*FindCompressor("rtn"))
                    ->Compress(random.Context(), {MakeLevel("rtn", b, 64)});
    ASSERT_TRUE(made.ok());
    layers.push_back(std::move((*made)[0]));
    bits += layers.back().costs.stored_bits;
  }
  for (int b = 2; b <= 6; ++b) {
    levels.push_back({KeyOf("model.layers.0.self_attn.k_proj",
                            "gptq:b" + std::to_string(b) + ":g64:asym"),
                      &layers[b - 2]});
  }
  ASSERT_TRUE(store_->Put(levels).ok());
  EXPECT_LE(*store_->TotalBytes(), 1.02 * static_cast<double>(bits) / 8);
}

TEST_F(LevelStoreTest, BlobNamesCannotLeaveTheStore) {
  EXPECT_EQ(store_->MapBlob("../lock").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::IsNotFound(store_->MapBlob(std::string(64, 'a')).status()));
}

}  // namespace
}  // namespace evopress::quant
