#include "quant/atomic_file.h"

#include <sys/resource.h>

#include <csignal>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/quant/test_files.h"

namespace evopress::quant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(AtomicFile, WritesTheConcatenationAndNothingElse) {
  const ScratchDirectory scratch;
  const std::string large(3 << 20, 'x');
  const absl::Status status =
      WriteFileAtomically(scratch / "f", {"ab", "", large, "cd"});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(ReadWholeFile(scratch / "f"), "ab" + large + "cd");
  EXPECT_THAT(scratch.Names(), ElementsAre("f"));
}

TEST(AtomicFile, ReplacesTheOldFileOnlyWhenCommitted) {
  const ScratchDirectory scratch;
  WriteWholeFile(scratch / "f", "old");
  {
    auto file = AtomicFile::Create(scratch / "f");
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE((*file)->Append("new").ok());
    EXPECT_EQ(ReadWholeFile(scratch / "f"), "old");
  }
  EXPECT_EQ(ReadWholeFile(scratch / "f"), "old");
  EXPECT_THAT(scratch.Names(), ElementsAre("f"));
  ASSERT_TRUE(WriteFileAtomically(scratch / "f", {"new"}).ok());
  EXPECT_EQ(ReadWholeFile(scratch / "f"), "new");
}

TEST(AtomicFile, RefusesToContinueAfterCommit) {
  const ScratchDirectory scratch;
  auto file = AtomicFile::Create(scratch / "f");
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->Append("1").ok());
  EXPECT_EQ((*file)->size(), 1);
  ASSERT_TRUE((*file)->Commit().ok());
  EXPECT_FALSE((*file)->Append("2").ok());
  EXPECT_FALSE((*file)->Commit().ok());
  EXPECT_EQ(ReadWholeFile(scratch / "f"), "1");
}

TEST(AtomicFile, AFullDiskIsResourceExhaustedAndLeavesNothing) {
  // A limit on file sizes fails writes the way a full disk does.
  const ScratchDirectory scratch;
  rlimit old;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limited = old;
  limited.rlim_cur = 1 << 20;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limited), 0);
  const absl::Status status =
      WriteFileAtomically(scratch / "f", {std::string(4 << 20, 'x')});
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr(scratch / "f"));
  EXPECT_THAT(scratch.Names(), IsEmpty());
}

TEST(AtomicFile, NeedsItsDirectory) {
  EXPECT_EQ(WriteFileAtomically("/nonexistent/f", {"x"}).code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace evopress::quant
