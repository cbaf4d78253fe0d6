#include "server/artifact_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/server/scratch_directory.h"

namespace evopress::server {
namespace {

using ::testing::HasSubstr;

class ArtifactStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(1 << 20); }
  void Reopen(int64_t limit) {
    auto store = ArtifactStore::Open(directory_ + "/artifacts", limit);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  absl::Status Write(const std::string& bytes, const std::string& sha256,
                     int64_t size) {
    auto writer = store_->Create(sha256, size);
    if (!writer.ok()) return writer.status();
    absl::Status status = (*writer)->Append(bytes);
    return status.ok() ? (*writer)->Commit() : status;
  }
  int FilesInTmp() const {
    int count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(directory_ + "/artifacts/tmp")) {
      ++count;
    }
    return count;
  }

  const ScratchDirectory scratch_;
  const std::string& directory_ = scratch_.path();
  std::unique_ptr<ArtifactStore> store_;
};

TEST_F(ArtifactStoreTest, WhatIsPutIsReadBackAfterReopening) {
  const auto sha256 = store_->Put("some bytes");
  ASSERT_TRUE(sha256.ok());
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/artifacts/" +
                                      sha256->substr(0, 2) + "/" + *sha256));
  Reopen(1 << 20);
  EXPECT_EQ(store_->Size(*sha256), 10);
  EXPECT_EQ(*store_->ReadAll(*sha256, 100), "some bytes");
  EXPECT_EQ(*(*store_->OpenForReading(*sha256))->Read(5, 3), "byt");
}

TEST_F(ArtifactStoreTest, WrongHashOrSizeLeavesNoTrace) {
  const std::string right = search::Sha256Hex("bytes");
  EXPECT_EQ(Write("bytes", search::Sha256Hex("other"), 5).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(Write("bytes", right, 4).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Write("bytes", right, 6).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Write("bytes", "../../etc/passwd", 5).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(store_->Has(right));
  EXPECT_EQ(FilesInTmp(), 0);
  EXPECT_TRUE(Write("bytes", right, 5).ok());
}

TEST_F(ArtifactStoreTest, TooBigIsRefusedBeforeTheFirstByte) {
  const auto writer = store_->Create(search::Sha256Hex("x"), (1 << 20) + 1);
  EXPECT_EQ(writer.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(writer.status().message()), HasSubstr("1048576"));
}

TEST_F(ArtifactStoreTest, DamageOnDiskIsNoticed) {
  const auto sha256 = store_->Put("some bytes");
  std::ofstream(directory_ + "/artifacts/" + sha256->substr(0, 2) + "/" +
                *sha256)
      << "Some bytes";
  EXPECT_EQ(store_->ReadAll(*sha256, 100).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(ArtifactStoreTest, AFullDiskIsResourceExhaustedAndNamesThePath) {
  const std::string mount = directory_ + "/small";
  std::filesystem::create_directory(mount);
  if (::mount("tmpfs", mount.c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "needs the right to mount a small tmpfs (root)";
  }
  {
    auto store = ArtifactStore::Open(mount + "/artifacts", 1 << 30);
    ASSERT_TRUE(store.ok());
    const absl::Status status =
        (*store)->Put(std::string(1 << 20, 'x')).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(mount));
    EXPECT_TRUE((*store)->Put("small").ok());
  }
  ::umount(mount.c_str());
}

}  // namespace
}  // namespace evopress::server
