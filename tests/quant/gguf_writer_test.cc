#include "quant/gguf_writer.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "quant/gguf_reader.h"
#include "tests/quant/test_files.h"

namespace evopress::quant {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

GgufSource SourceOf(const GgufTensor& tensor) {
  return {tensor.name, tensor.traits->type, tensor.dims, [&tensor] {
            return std::string(tensor.bytes.begin(), tensor.bytes.end());
          }};
}

TEST(GgufWriter, WhatWasReadIsWrittenAndReadAgain) {
  const ScratchDirectory scratch;
  for (const std::string name : {"tiny_llama.gguf", "tiny_gemma3.gguf",
                                 "tiny_split-00001-of-00003.gguf"}) {
    SCOPED_TRACE(name);
    const auto reader = GgufReader::Open(Golden(name));
    ASSERT_TRUE(reader.ok()) << reader.status();
    std::vector<GgufSource> sources;
    for (const GgufTensor& tensor : (*reader)->tensors()) {
      sources.push_back(SourceOf(tensor));
    }
    const absl::Status status =
        WriteGguf(scratch / "copy.gguf", (*reader)->metadata(), sources);
    ASSERT_TRUE(status.ok()) << status;
    const auto copy = GgufReader::Open(scratch / "copy.gguf");
    ASSERT_TRUE(copy.ok()) << copy.status();
    ASSERT_EQ((*copy)->tensors().size(), (*reader)->tensors().size());
    for (const GgufTensor& tensor : (*reader)->tensors()) {
      const GgufTensor* back = (*copy)->Find(tensor.name);
      ASSERT_NE(back, nullptr) << tensor.name;
      EXPECT_EQ(back->dims, tensor.dims);
      EXPECT_EQ(back->traits, tensor.traits);
      EXPECT_EQ(back->bytes, tensor.bytes);
    }
    for (const auto& [key, value] : (*reader)->metadata().entries()) {
      const GgufValue* back = (*copy)->metadata().Find(key);
      if (key.rfind("split.", 0) == 0) {
        EXPECT_EQ(back, nullptr);
        continue;
      }
      ASSERT_NE(back, nullptr) << key;
      EXPECT_EQ(back->type, value.type) << key;
      EXPECT_EQ(back->is_array, value.is_array) << key;
      EXPECT_EQ(back->payload, value.payload) << key;
    }
  }
}

TEST(GgufWriter, WritesTheBytesOfTheGgufPackage) {
  const ScratchDirectory scratch;
  const auto reader = GgufReader::Open(Golden("tiny_llama.gguf"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::vector<GgufSource> sources;
  for (const GgufTensor& tensor : (*reader)->tensors()) {
    sources.push_back(SourceOf(tensor));
  }
  ASSERT_TRUE(
      WriteGguf(scratch / "copy.gguf", (*reader)->metadata(), sources).ok());
  EXPECT_EQ(ReadWholeFile(scratch / "copy.gguf"),
            ReadWholeFile(Golden("tiny_llama.gguf")));
}

class GgufWriterErrors : public ::testing::Test {
 protected:
  void ExpectInvalid(const GgufMetadata& metadata,
                     const std::vector<GgufSource>& tensors,
                     const std::string& part) {
    const absl::Status status =
        WriteGguf(scratch_ / "f.gguf", metadata, tensors);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
    EXPECT_THAT(scratch_.Names(), IsEmpty());
  }
  static GgufSource Source(const std::string& name, std::vector<int64_t> dims,
                           size_t bytes) {
    return {name, GgmlType::kQ8_0, std::move(dims),
            [bytes] { return std::string(bytes, '\0'); }};
  }
  ScratchDirectory scratch_;
};

TEST_F(GgufWriterErrors, TensorsThatNoReaderTakes) {
  ExpectInvalid({}, {Source("t", {32}, 33)}, "33 bytes");
  ExpectInvalid({}, {Source("t", {31}, 34)}, "31");
  ExpectInvalid({}, {Source("t", {32, 0}, 0)}, "dimension 0");
  ExpectInvalid({}, {Source("t", {}, 0)}, "rank 0");
  ExpectInvalid({}, {Source(std::string(64, 'n'), {32}, 34)}, "64");
  ExpectInvalid({}, {Source("t", {32}, 34), Source("t", {32}, 34)}, "two");
}

TEST_F(GgufWriterErrors, MetadataThatNoReaderTakes) {
  GgufMetadata alignment;
  alignment.Set("general.alignment", GgufValue::Uint32(12));
  ExpectInvalid(alignment, {}, "general.alignment");
  GgufMetadata mismatch;
  mismatch.Set("k", {GgufValueType::kString, false, uint64_t{1}});
  ExpectInvalid(mismatch, {}, "declared type");
}

TEST_F(GgufWriterErrors, AFailingTensorLeavesNoFile) {
  GgufSource source = Source("t", {32}, 34);
  source.bytes = []() -> absl::StatusOr<std::string> {
    return absl::UnavailableError("gone");
  };
  EXPECT_EQ(WriteGguf(scratch_ / "f.gguf", {}, {source}).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_THAT(scratch_.Names(), IsEmpty());
}

}  // namespace
}  // namespace evopress::quant
