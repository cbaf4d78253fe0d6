#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "quant/safetensors_reader.h"
#include "quant/safetensors_writer.h"
#include "tests/quant/test_files.h"

namespace evopress::quant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SafetensorsSource Floats(const std::string& name, const std::string& dtype,
                         std::vector<int64_t> shape,
                         std::vector<float> values) {
  return {name, dtype, std::move(shape),
          [name, dtype, values] { return EncodeFloats(name, dtype, values); }};
}

std::vector<SafetensorsSource> ThreeTensors() {
  return {Floats("c", "F16", {3}, {1.0f, -2.5f, 65504.0f}),
          Floats("a", "F32", {2, 2}, {0.1f, 1e30f, -0.0f, 1e-40f}),
          Floats("b", "BF16", {1, 2}, {3.0f, 1e38f})};
}

std::string WithHeader(const std::string& json, size_t data) {
  const uint64_t size = json.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + json +
         std::string(data, '\0');
}

absl::Status StatusOfFile(const std::string& file) {
  // A copy of exactly the file's size, so that sanitizers see overreads.
  const std::vector<uint8_t> bytes(file.begin(), file.end());
  const auto tensors = ParseSafetensors("m.safetensors", bytes);
  if (!tensors.ok()) return tensors.status();
  std::vector<float> out;
  for (const SafetensorsTensor& tensor : *tensors) {
    out.resize(static_cast<size_t>(tensor.elements()));
    ReadSafetensorF32(tensor, absl::MakeSpan(out)).IgnoreError();
  }
  return absl::OkStatus();
}

void ExpectDataLoss(const std::string& json, const std::string& part) {
  const absl::Status status = StatusOfFile(WithHeader(json, 16));
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(part));
}

void ExpectThreeTensors(const SafetensorsReader& reader) {
  ASSERT_EQ(reader.tensors().size(), 3u);
  std::vector<float> a(4), b(2), c(3);
  ASSERT_TRUE(
      ReadSafetensorF32(reader.tensors().at("a"), absl::MakeSpan(a)).ok());
  ASSERT_TRUE(
      ReadSafetensorF32(reader.tensors().at("b"), absl::MakeSpan(b)).ok());
  ASSERT_TRUE(
      ReadSafetensorF32(reader.tensors().at("c"), absl::MakeSpan(c)).ok());
  EXPECT_THAT(a, ElementsAre(0.1f, 1e30f, -0.0f, 1e-40f));
  EXPECT_EQ(b[0], 3.0f);
  EXPECT_NEAR(b[1], 1e38f, 1e36f);
  EXPECT_THAT(c, ElementsAre(1.0f, -2.5f, 65504.0f));
  EXPECT_THAT(reader.tensors().at("a").shape, ElementsAre(2, 2));
}

TEST(Safetensors, OneFileGoesRound) {
  const ScratchDirectory scratch;
  const auto files = WriteSafetensors(scratch.path(), ThreeTensors(), {});
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_THAT(*files, ElementsAre("model.safetensors"));
  const auto reader = SafetensorsReader::Open(scratch / "model.safetensors");
  ASSERT_TRUE(reader.ok()) << reader.status();
  ExpectThreeTensors(**reader);
}

TEST(Safetensors, ShardsGoRoundThroughTheirIndex) {
  const ScratchDirectory scratch;
  SafetensorsOptions options;
  options.max_shard_bytes = 20;
  const auto files = WriteSafetensors(scratch.path(), ThreeTensors(), options);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_THAT(*files, ElementsAre("model-00001-of-00002.safetensors",
                                  "model-00002-of-00002.safetensors",
                                  "model.safetensors.index.json"));
  const auto reader =
      SafetensorsReader::Open(scratch / "model.safetensors.index.json");
  ASSERT_TRUE(reader.ok()) << reader.status();
  ExpectThreeTensors(**reader);
  EXPECT_EQ((*reader)->files().size(), 3u);
}

TEST(Safetensors, TensorsAreAligned) {
  const ScratchDirectory scratch;
  ASSERT_TRUE(WriteSafetensors(scratch.path(), ThreeTensors(), {}).ok());
  const std::string bytes = ReadWholeFile(scratch / "model.safetensors");
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof(header));
  EXPECT_EQ((8 + header) % 64, 0u);
  const auto reader = SafetensorsReader::Open(scratch / "model.safetensors");
  ASSERT_TRUE(reader.ok());
  for (const auto& [name, tensor] : (*reader)->tensors()) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.bytes.data()) %
                  static_cast<uintptr_t>(SafetensorsElementBytes(tensor.dtype)),
              0u);
  }
}

TEST(Safetensors, WriterRefusesWhatATypeCannotHold) {
  const ScratchDirectory scratch;
  const float infinity = std::numeric_limits<float>::infinity();
  for (const auto& source : {Floats("t", "F16", {2}, {0.0f, 65520.0f}),
                             Floats("t", "F32", {2}, {0.0f, infinity}),
                             Floats("t", "BF16", {2}, {0.0f, -infinity})}) {
    const auto files = WriteSafetensors(scratch.path(), {source}, {});
    EXPECT_EQ(files.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(files.status().message()), HasSubstr("index 1"));
  }
  EXPECT_FALSE(
      WriteSafetensors(scratch.path(), {Floats("t", "F32", {3}, {1.0f})}, {})
          .ok());
  EXPECT_FALSE(WriteSafetensors(scratch.path(),
                                {Floats("t", "F32", {1}, {1.0f}),
                                 Floats("t", "F32", {1}, {1.0f})},
                                {})
                   .ok());
  EXPECT_FALSE(
      WriteSafetensors(scratch.path(), {Floats("\xff", "F32", {1}, {1.0f})}, {})
          .ok());
  EXPECT_TRUE(scratch.Names().empty());
}

TEST(Safetensors, EveryFieldIsCheckedBeforeItIsUsed) {
  const std::string good =
      R"({"t":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})";
  EXPECT_TRUE(StatusOfFile(WithHeader(good, 16)).ok());
  ExpectDataLoss("[]", "not a JSON object");
  ExpectDataLoss("{", "not a JSON object");
  ExpectDataLoss(R"({"t":3})", "no dtype");
  ExpectDataLoss(R"({"t":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}})",
                 "truncated");
  ExpectDataLoss(R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,16]}})",
                 "16 bytes for 2 values");
  ExpectDataLoss(R"({"t":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})",
                 "senseless shape");
  ExpectDataLoss(R"({"t":{"dtype":"F32","shape":[4294967296,4294967296],)"
                 R"("data_offsets":[0,0]}})",
                 "senseless shape");
  ExpectDataLoss(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}})",
                 "offsets");
  ExpectDataLoss(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                 R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                 "overlap");
  EXPECT_EQ(StatusOfFile(std::string(8, '\xff')).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(StatusOfFile("short").code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(StatusOfFile(WithHeader(std::string(1000000, '['), 0)).code(),
            absl::StatusCode::kDataLoss);
}

TEST(Safetensors, AnIndexCannotLeaveItsDirectory) {
  const ScratchDirectory scratch;
  for (const std::string shard :
       {"../x.safetensors", "/etc/passwd", "", ".."}) {
    WriteWholeFile(scratch / "m.index.json",
                   R"({"weight_map":{"t":")" + shard + R"("}})");
    const auto reader = SafetensorsReader::Open(scratch / "m.index.json");
    EXPECT_EQ(reader.status().code(), absl::StatusCode::kDataLoss) << shard;
  }
}

TEST(Safetensors, NoTruncationOrMutationBreaksTheReader) {
  const ScratchDirectory scratch;
  ASSERT_TRUE(WriteSafetensors(scratch.path(), ThreeTensors(), {}).ok());
  const std::string file = ReadWholeFile(scratch / "model.safetensors");
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(StatusOfFile(file.substr(0, size)).ok()) << size;
  }
  int errors = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    SplitMix64 random(seed);
    std::string mutant = file;
    mutant[random.Below(mutant.size())] ^=
        static_cast<char>(1 << random.Below(8));
    if (!StatusOfFile(mutant).ok()) ++errors;
  }
  EXPECT_GT(errors, 1000);
}

}  // namespace
}  // namespace evopress::quant
