// What the engine's tests share: tiny committed models, level blobs made of
// them, and samples.
#ifndef EVOPRESS_TESTS_WORKER_ENGINE_FIXTURE_H_
#define EVOPRESS_TESTS_WORKER_ENGINE_FIXTURE_H_

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "quant/checkpoint.h"
#include "quant/compressor.h"
#include "quant/packed_weight.h"
#include "quant/safetensors_writer.h"
#include "search/level_name.h"
#include "worker/evaluator.h"

namespace evopress::worker {

inline std::string GoldenPath(const std::string& name) {
  // tests/show.sh makes goldens of its own, from other seeds.
  const char* const other = std::getenv("EVOPRESS_ENGINE_GOLDENS");
  return (other != nullptr
              ? std::string(other)
              : std::string(EVOPRESS_SOURCE_DIR) + "/tests/golden/engine") +
         "/" + name;
}

inline nlohmann::json ReadGolden(const std::string& name) {
  std::ifstream in(GoldenPath(name));
  return nlohmann::json::parse(in);
}

// A directory of its own, gone with the object.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name =
        (std::filesystem::temp_directory_path() / "engineXXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Writes `layer` of `model` times `factor` at `level` (round to nearest) into
// `directory`; returns the blob's path.
inline std::string MakeBlob(const quant::Checkpoint& model,
                            const std::string& layer, const std::string& level,
                            const std::string& directory, float factor = 1) {
  const quant::TensorInfo* const info = model.Find(layer + ".weight");
  EXPECT_NE(info, nullptr) << layer;
  std::vector<float> values(info->elements());
  EXPECT_TRUE(model
                  .ReadF32(layer + ".weight",
                           absl::Span<float>(values.data(), values.size()))
                  .ok());
  for (float& value : values) value *= factor;
  quant::LayerContext context;
  context.name = layer;
  context.shape = {info->shape[0], info->shape[1]};
  context.weight = values;
  const auto name = search::ParseLevel(level);
  EXPECT_TRUE(name.ok()) << name.status();
  const auto compressor = quant::FindCompressor(name->method);
  EXPECT_TRUE(compressor.ok()) << compressor.status();
  const auto compressed = (*compressor)->Compress(context, {*name});
  EXPECT_TRUE(compressed.ok()) << compressed.status();
  const std::string path =
      directory + "/" + layer + "." + level + (factor == 1 ? "" : ".scaled");
  std::ofstream out(path, std::ios::binary);
  out << quant::SerializeBlob(compressed->front().weight);
  return path;
}

// Writes the checkpoint `from`, a directory, to `to` with what `choice` has for
// its layers in their place.
inline void WriteByHand(const std::string& from, const WeightChoice& choice,
                        const std::string& to) {
  auto model = quant::Checkpoint::Open(from);
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<quant::SafetensorsSource> tensors;
  for (const quant::TensorInfo& tensor : (*model)->tensors()) {
    std::vector<float> values(tensor.elements());
    const auto out = absl::MakeSpan(values);
    const auto blob = choice.blob_of_layer.find(
        tensor.name.substr(0, tensor.name.rfind(".weight")));
    if (blob == choice.blob_of_layer.end()) {
      ASSERT_TRUE((*model)->ReadF32(tensor.name, out).ok());
    } else {
      const auto packed = quant::ReadBlob(blob->second);
      ASSERT_TRUE(packed.ok()) << packed.status();
      ASSERT_TRUE(quant::Unpack(*packed, out).ok());
    }
    quant::SafetensorsSource source{tensor.name, "F32", tensor.shape, {}};
    source.bytes = [name = tensor.name, values] {
      return quant::EncodeFloats(name, "F32", values);
    };
    tensors.push_back(std::move(source));
  }
  ASSERT_TRUE(quant::WriteSafetensors(to, std::move(tensors), {}).ok());
  std::filesystem::copy(from + "/config.json", to + "/config.json");
}

// Tokens below `vocab`, different for each seed.
inline std::vector<int32_t> MakeSample(int64_t tokens, uint64_t seed,
                                       int32_t vocab = 256) {
  std::vector<int32_t> sample(tokens);
  uint64_t state = seed * 2654435761u + 12345;
  for (int32_t& token : sample) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    token = static_cast<int32_t>((state >> 33) % vocab);
  }
  return sample;
}

}  // namespace evopress::worker

#endif  // EVOPRESS_TESTS_WORKER_ENGINE_FIXTURE_H_
