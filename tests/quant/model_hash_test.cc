#include "quant/model_hash.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/quant/test_files.h"

namespace evopress::quant {
namespace {

TEST(ModelHash, ListsFilesByNameWithSizeAndHash) {
  const ScratchDirectory scratch;
  WriteWholeFile(scratch / "b", "abc");
  WriteWholeFile(scratch / "a", "");
  const auto manifest = MakeModelManifest({scratch / "b", scratch / "a"});
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->CanonicalText(),
            "evopress model 1\n"
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 "
            "0 a\n"
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad "
            "3 b\n");
  EXPECT_EQ(manifest->Hash().size(), 64u);
}

TEST(ModelHash, ChangesWithContentAndNotWithDirectoryOrOrder) {
  const ScratchDirectory one;
  const ScratchDirectory two;
  const std::string large(5 << 20, 'x');
  for (const ScratchDirectory* directory : {&one, &two}) {
    WriteWholeFile(*directory / "a", large);
    WriteWholeFile(*directory / "b", "b");
  }
  const auto first = MakeModelManifest({one / "a", one / "b"});
  const auto second = MakeModelManifest({two / "b", two / "a"});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->Hash(), second->Hash());
  std::string changed = large;
  changed.back() = 'y';
  WriteWholeFile(two / "a", changed);
  const auto third = MakeModelManifest({two / "a", two / "b"});
  ASSERT_TRUE(third.ok());
  EXPECT_NE(third->Hash(), first->Hash());
}

TEST(ModelHash, RefusesMissingAndAmbiguousFiles) {
  const ScratchDirectory one;
  const ScratchDirectory two;
  WriteWholeFile(one / "a", "1");
  WriteWholeFile(two / "a", "2");
  EXPECT_EQ(MakeModelManifest({one / "a", two / "a"}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeModelManifest({one / "absent"}).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace evopress::quant
