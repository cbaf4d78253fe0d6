#include "quant/gguf_reader.h"

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "quant/gguf_parser.h"
#include "tests/quant/test_files.h"

namespace evopress::quant {
namespace {

using ::testing::HasSubstr;

template <typename T>
std::string Raw(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(T));
}
std::string Text(const std::string& text) {
  return Raw<uint64_t>(text.size()) + text;
}
std::string Header(uint64_t tensors, uint64_t entries, uint32_t version = 3) {
  return "GGUF" + Raw(version) + Raw(tensors) + Raw(entries);
}
std::string Tensor(const std::string& name, std::vector<uint64_t> dims,
                   uint32_t type, uint64_t offset) {
  std::string out = Text(name) + Raw(static_cast<uint32_t>(dims.size()));
  for (const uint64_t dim : dims) out += Raw(dim);
  return out + Raw(type) + Raw(offset);
}
std::string WithData(std::string header, size_t bytes) {
  header.append((32 - header.size() % 32) % 32, '\0');
  return header + std::string(bytes, '\0');
}

absl::StatusOr<GgufContents> Parse(const std::string& file) {
  // A copy of exactly the file's size, so that sanitizers see overreads.
  const std::vector<uint8_t> bytes(file.begin(), file.end());
  absl::StatusOr<GgufContents> contents = ParseGguf("f.gguf", bytes);
  if (!contents.ok()) return contents;
  uint64_t sum = 0;
  for (const GgufTensor& tensor : contents->tensors) {
    for (const uint8_t byte : tensor.bytes) sum += byte;
  }
  EXPECT_LT(sum, std::numeric_limits<uint64_t>::max());
  return contents;
}

void ExpectError(const std::string& file, absl::StatusCode code,
                 const std::string& part) {
  const absl::StatusOr<GgufContents> contents = Parse(file);
  EXPECT_EQ(contents.status().code(), code) << contents.status();
  EXPECT_THAT(std::string(contents.status().message()), HasSubstr(part));
}

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;

TEST(GgufReader, ReadsEveryTypeOfMetadata) {
  const auto reader = GgufReader::Open(Golden("tiny_llama.gguf"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  const GgufMetadata& metadata = (*reader)->metadata();
  EXPECT_EQ(metadata.GetInteger("test.u8"), 250);
  EXPECT_EQ(metadata.GetInteger("test.i8"), -100);
  EXPECT_EQ(metadata.GetInteger("test.u16"), 65000);
  EXPECT_EQ(metadata.GetInteger("test.i16"), -30000);
  EXPECT_EQ(metadata.GetInteger("test.i32"), -2000000000);
  EXPECT_EQ(metadata.GetInteger("test.i64"),
            std::numeric_limits<int64_t>::min());
  EXPECT_EQ(metadata.GetInteger("test.u64"), std::nullopt);  // does not fit
  EXPECT_EQ(std::get<uint64_t>(metadata.Find("test.u64")->payload),
            std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(metadata.GetNumber("test.f64"), 0.1);
  EXPECT_EQ(metadata.GetNumber("llama.rope.freq_base"), 50000.0);
  EXPECT_EQ(metadata.GetBool("tokenizer.ggml.add_bos_token"), true);
  EXPECT_EQ(metadata.GetString("tokenizer.ggml.pre"), "smollm");
  EXPECT_EQ(metadata.GetNumbers("test.floats"),
            (std::vector<double>{0.5, -1.25}));
  ASSERT_NE(metadata.GetStrings("tokenizer.ggml.tokens"), nullptr);
  EXPECT_EQ(metadata.GetStrings("tokenizer.ggml.tokens")->at(23), "t23");
}

TEST(GgufReader, OpensAllFilesOfASplitModelThroughTheFirst) {
  const auto reader =
      GgufReader::Open(Golden("tiny_split-00001-of-00003.gguf"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->files().size(), 3u);
  EXPECT_EQ((*reader)->tensors().size(), 11u);
  EXPECT_NE((*reader)->Find("blk.0.ffn_norm.weight"), nullptr);
  EXPECT_EQ(GgufReader::Open(Golden("tiny_split-00002-of-00003.gguf"))
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(GgufReader, ReportsAMissingOrForeignSplitFile) {
  const ScratchDirectory scratch;
  for (const std::string number : {"00001", "00002"}) {
    const std::string name = "tiny_split-" + number + "-of-00003.gguf";
    WriteWholeFile(scratch / name, ReadWholeFile(Golden(name)));
  }
  const std::string first = scratch / "tiny_split-00001-of-00003.gguf";
  EXPECT_EQ(GgufReader::Open(first).status().code(),
            absl::StatusCode::kNotFound);
  WriteWholeFile(scratch / "tiny_split-00003-of-00003.gguf",
                 ReadWholeFile(Golden("tiny_split-00002-of-00003.gguf")));
  EXPECT_EQ(GgufReader::Open(first).status().code(), kDataLoss);
}

TEST(GgufReader, AcceptsVersions2And3Only) {
  EXPECT_TRUE(Parse(Header(0, 0, 3)).ok());
  EXPECT_TRUE(Parse(Header(0, 0, 2)).ok());
  ExpectError(Header(0, 0, 1), kUnimplemented, "version 1");
  ExpectError(Header(0, 0, 0x03000000), kUnimplemented, "big-endian");
  ExpectError("GGML" + Header(0, 0).substr(4), kDataLoss, "not a GGUF file");
  ExpectError("", kDataLoss, "offset 0");
}

TEST(GgufReader, NamesTheOffsetOfWhatIsWrong) {
  const auto big = std::numeric_limits<uint64_t>::max();
  ExpectError(Header(big, 0), kDataLoss, "offset 8");
  ExpectError(Header(0, big), kDataLoss, "offset 16");
  ExpectError(Header(0, 1) + Raw(big) + "key and type", kDataLoss, "offset 24");
  ExpectError(Header(0, 1) + Text("k") + Raw(8u) + Raw(big), kDataLoss,
              "offset 37");
  ExpectError(Header(0, 1) + Text("k") + Raw(99u) + "12345678", kDataLoss,
              "unknown metadata type 99");
  ExpectError(Header(0, 1) + Text("k") + Raw(7u) + "\2", kDataLoss, "boolean");
  ExpectError(Header(0, 1) + Text("k") + Raw(9u) + Raw(4u) + Raw(big),
              kDataLoss, "array length");
  ExpectError(Header(0, 1) + Text("k") + Raw(9u) + Raw(10u) + Raw(uint64_t{2}) +
                  "12345678",
              kDataLoss, "exceeds the file");
  ExpectError(Header(0, 1) + Text("k") + Raw(9u) + Raw(9u) + Raw(uint64_t{0}),
              kUnimplemented, "arrays of arrays");
  const std::string entry = Text("k") + Raw(0u) + "\1";
  ExpectError(Header(0, 2) + entry + entry, kDataLoss, "duplicate key 'k'");
  ExpectError(Header(0, 1) + Text("general.alignment") + Raw(4u) + Raw(12u),
              kDataLoss, "general.alignment");
}

TEST(GgufReader, ChecksTensorsBeforeTheyAreUsed) {
  const auto file = [](const std::string& tensors, uint64_t count,
                       size_t bytes) {
    return WithData(Header(count, 0) + tensors, bytes);
  };
  EXPECT_TRUE(Parse(file(Tensor("t", {32, 2}, 2, 0), 1, 36)).ok());
  ExpectError(file(Tensor("t", {32, 2}, 2, 0), 1, 35), kDataLoss, "truncated");
  ExpectError(file(Tensor("t", {33}, 2, 0), 1, 99), kDataLoss, "whole blocks");
  ExpectError(file(Tensor("t", {32, 0}, 2, 0), 1, 99), kDataLoss,
              "dimension 0");
  ExpectError(file(Tensor("t", {1ull << 40, 1ull << 40}, 0, 0), 1, 99),
              kDataLoss, "out of range");
  ExpectError(file(Tensor("t", {1, 1, 1, 1, 1}, 0, 0), 1, 99), kDataLoss,
              "rank 5");
  ExpectError(file(Tensor("t", {}, 0, 0), 1, 99), kDataLoss, "rank 0");
  ExpectError(file(Tensor("t", {32}, 36, 0), 1, 99), kUnimplemented,
              "unknown type 36");
  ExpectError(file(Tensor("t", {8}, 0, 4), 1, 99), kDataLoss, "not aligned");
  ExpectError(file(Tensor("t", {8}, 0, ~uint64_t{31}), 1, 99), kDataLoss,
              "truncated");
  ExpectError(file(Tensor("t", {8}, 0, 0) + Tensor("t", {8}, 0, 32), 2, 99),
              kDataLoss, "duplicate tensor 't'");
  ExpectError(file(Tensor("a", {16}, 0, 0) + Tensor("b", {8}, 0, 32), 2, 99),
              kDataLoss, "overlaps");
  ExpectError(file(Tensor("a\n\x01", {8}, 0, 4), 1, 99), kDataLoss,
              "a\\n\\x01");
}

TEST(GgufReader, EveryTruncationIsAnError) {
  const std::string file = ReadWholeFile(Golden("tiny_llama.gguf"));
  // The header byte by byte, the data in steps.
  for (size_t size = 0; size < file.size(); size += size < 4000 ? 1 : 97) {
    EXPECT_EQ(Parse(file.substr(0, size)).status().code(), kDataLoss) << size;
  }
}

TEST(GgufReader, NoMutationBreaksTheReader) {
  const std::string file = ReadWholeFile(Golden("tiny_llama.gguf"));
  int errors = 0;
  constexpr int kMutations = 8000;
  for (uint64_t seed = 0; seed < kMutations; ++seed) {
    SplitMix64 random(seed);
    std::string mutant = file;
    const uint64_t changes = 1 + random.Below(3);
    for (uint64_t i = 0; i < changes; ++i) {
      const size_t at = random.Below(3200);  // header and descriptions
      switch (random.Below(3)) {
        case 0:
          mutant[at] = static_cast<char>(mutant[at] ^ (1 << random.Below(8)));
          break;
        case 1:
          mutant[at] = static_cast<char>(random.Next());
          break;
        default:
          mutant.replace(at, 8,
                         Raw<uint64_t>(~uint64_t{0} >> random.Below(64)));
      }
    }
    if (!Parse(mutant).ok()) ++errors;
  }
  EXPECT_GT(errors, kMutations / 4);
}

}  // namespace
}  // namespace evopress::quant
