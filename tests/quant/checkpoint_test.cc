#include "quant/checkpoint.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "quant/gguf_checkpoint.h"
#include "quant/gguf_names.h"
#include "quant/gguf_writer.h"
#include "search/sha256.h"
#include "tests/quant/test_files.h"

namespace evopress::quant {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::unique_ptr<Checkpoint> MustOpen(const std::string& path) {
  auto checkpoint = Checkpoint::Open(path);
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
  return checkpoint.ok() ? *std::move(checkpoint) : nullptr;
}

std::string HashOfTensor(const Checkpoint& checkpoint, const TensorInfo& info) {
  std::vector<float> values(static_cast<size_t>(info.elements()));
  const absl::Status status =
      checkpoint.ReadF32(info.name, absl::MakeSpan(values));
  EXPECT_TRUE(status.ok()) << status;
  return search::ToHex(
      search::Sha256Of(values.data(), values.size() * sizeof(float)));
}

TEST(Checkpoint, EveryFormatGivesTheTensorsOfHuggingFace) {
  const json models = json::parse(ReadWholeFile(Golden("tiny_models.json")));
  for (const auto& [file, hashes] : models.items()) {
    SCOPED_TRACE(file);
    const auto checkpoint = MustOpen(Golden(file));
    ASSERT_NE(checkpoint, nullptr);
    EXPECT_EQ(checkpoint->tensors().size(), hashes.size());
    for (const auto& [name, hash] : hashes.items()) {
      const TensorInfo* info = checkpoint->Find(name);
      ASSERT_NE(info, nullptr) << name;
      EXPECT_EQ(HashOfTensor(*checkpoint, *info), hash.get<std::string>())
          << name;
    }
  }
}

TEST(Checkpoint, ShapesAreRowMajorAndTypesThoseOfTheFile) {
  const auto checkpoint = MustOpen(Golden("tiny_llama.gguf"));
  ASSERT_NE(checkpoint, nullptr);
  const TensorInfo* gate =
      checkpoint->Find("model.layers.0.mlp.gate_proj.weight");
  ASSERT_NE(gate, nullptr);
  EXPECT_EQ(gate->shape, (std::vector<int64_t>{64, 32}));
  EXPECT_EQ(gate->source_type, "Q8_0");
  EXPECT_EQ(gate->bytes, 64 * 34);
  EXPECT_EQ(checkpoint->Find("model.layers.1.mlp.gate_proj.weight"), nullptr);
}

TEST(Checkpoint, ConfigsSpeakTheVocabularyOfHuggingFace) {
  const auto llama = MustOpen(Golden("tiny_llama.gguf"));
  ASSERT_NE(llama, nullptr);
  const json& config = llama->config();
  EXPECT_EQ(config["model_type"], "llama");
  EXPECT_EQ(config["hidden_size"], 32);
  EXPECT_EQ(config["num_hidden_layers"], 1);
  EXPECT_EQ(config["intermediate_size"], 64);
  EXPECT_EQ(config["num_attention_heads"], 2);
  EXPECT_EQ(config["num_key_value_heads"], 1);
  EXPECT_EQ(config["head_dim"], 16);
  EXPECT_EQ(config["vocab_size"], 24);
  EXPECT_EQ(config["rms_norm_eps"], 1e-5);
  EXPECT_EQ(config["rope_theta"], 50000.0);
  EXPECT_EQ(config["tie_word_embeddings"], true);
  EXPECT_EQ(config["attention_bias"], true);
  EXPECT_EQ(config["rope_scaling"]["rope_type"], "llama3");
  EXPECT_EQ(config["rope_scaling"]["factors_tensor"], "rope_freqs.weight");

  const auto gemma = MustOpen(Golden("tiny_gemma3.gguf"));
  ASSERT_NE(gemma, nullptr);
  EXPECT_EQ(gemma->config()["model_type"], "gemma3_text");
  EXPECT_EQ(gemma->config()["sliding_window"], 16);
  EXPECT_EQ(gemma->config()["layer_types"][0], "sliding_attention");
  EXPECT_EQ(gemma->config()["query_pre_attn_scalar"], 16);
  EXPECT_EQ(gemma->config()["rope_local_base_freq"], 1e4);

  const auto hf = MustOpen(Golden("tiny_hf"));
  ASSERT_NE(hf, nullptr);
  EXPECT_EQ(hf->config()["rope_theta"], 50000.0);
  EXPECT_EQ(hf->config()["head_dim"], 16);
  EXPECT_TRUE(hf->config()["rope_scaling"].is_null());
}

TEST(Checkpoint, ListsEveryFileOfTheModel) {
  EXPECT_EQ(MustOpen(Golden("tiny_hf"))->files().size(), 3u);
  EXPECT_EQ(MustOpen(Golden("tiny_split-00001-of-00003.gguf"))->files().size(),
            3u);
}

TEST(Checkpoint, CarriesTheTokenizer) {
  const auto checkpoint = MustOpen(Golden("tiny_llama.gguf"));
  ASSERT_NE(checkpoint, nullptr);
  const auto& source = std::get<GgufTokenizerSource>(checkpoint->tokenizer());
  EXPECT_EQ(source.model, "gpt2");
  EXPECT_EQ(source.pre, "smollm");
  EXPECT_EQ(source.tokens.size(), 24u);
  EXPECT_EQ(source.merges.size(), 2u);
  EXPECT_EQ(source.bos_id, 1);
  EXPECT_EQ(source.unknown_id, -1);
  EXPECT_EQ(source.add_bos, GgufTokenizerSource::Flag::kTrue);
  EXPECT_EQ(source.add_eos, GgufTokenizerSource::Flag::kUnsaid);
  const auto hf = MustOpen(Golden("tiny_hf"));
  ASSERT_NE(hf, nullptr);
  EXPECT_EQ(std::get<HfTokenizerSource>(hf->tokenizer()).tokenizer_json, "{}");
}

// Opens a copy of tiny_llama.gguf with one tensor renamed or overwritten.
class ChangedModel {
 public:
  ChangedModel() : bytes_(ReadWholeFile(Golden("tiny_llama.gguf"))) {}
  void Replace(const std::string& from, const std::string& to) {
    const size_t at = bytes_.find(from);
    ASSERT_NE(at, std::string::npos);
    bytes_.replace(at, from.size(), to);
  }
  void OverwriteTensor(const std::string& name, float value) {
    auto reader = GgufReader::Open(Golden("tiny_llama.gguf"));
    ASSERT_TRUE(reader.ok());
    const GgufTensor* tensor = (*reader)->Find(name);
    const std::string old(tensor->bytes.begin(), tensor->bytes.end());
    const size_t at = bytes_.find(old);
    std::memcpy(&bytes_[at + 4 * 3], &value, sizeof(value));
  }
  absl::StatusOr<std::unique_ptr<Checkpoint>> Open() {
    WriteWholeFile(scratch_ / "m.gguf", bytes_);
    return Checkpoint::Open(scratch_ / "m.gguf");
  }

 private:
  ScratchDirectory scratch_;
  std::string bytes_;
};

TEST(Checkpoint, ReportsValuesThatAreNotFinite) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                          -std::numeric_limits<float>::infinity()}) {
    ChangedModel model;
    model.OverwriteTensor("output_norm.weight", bad);
    const auto checkpoint = model.Open();
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    std::vector<float> out(32);
    const absl::Status status =
        (*checkpoint)->ReadF32("model.norm.weight", absl::MakeSpan(out));
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr("model.norm.weight"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("index 3"));
  }
}

TEST(Checkpoint, NamesStackedExpertsAndUnknownArchitectures) {
  ChangedModel experts;
  experts.Replace("blk.0.attn_output.weight", "blk.0.ffn_up_exps.weight");
  EXPECT_EQ(experts.Open().status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(experts.Open().status().message()),
              HasSubstr("blk.0.ffn_up_exps.weight"));
  ChangedModel foreign;
  foreign.Replace("llama", "mamba");  // the value of general.architecture
  EXPECT_EQ(foreign.Open().status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(foreign.Open().status().message()),
              HasSubstr("mamba"));
  EXPECT_EQ(Checkpoint::Open("/nonexistent").status().code(),
            absl::StatusCode::kNotFound);
}

TEST(Checkpoint, RefusesUnknownNamesAndWrongRoom) {
  const auto checkpoint = MustOpen(Golden("tiny_llama.gguf"));
  ASSERT_NE(checkpoint, nullptr);
  std::vector<float> out(31);
  EXPECT_EQ(checkpoint->ReadF32("nothing", absl::MakeSpan(out)).code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(
      checkpoint->ReadF32("model.norm.weight", absl::MakeSpan(out)).code(),
      absl::StatusCode::kInvalidArgument);
}

TEST(Checkpoint, NoMutationOfTheFileBreaksReading) {
  const std::string file = ReadWholeFile(Golden("tiny_llama.gguf"));
  const ScratchDirectory scratch;
  std::vector<float> out;
  int opened = 0;
  for (uint64_t seed = 0; seed < 800; ++seed) {
    SplitMix64 random(seed);
    std::string mutant = file;
    mutant[random.Below(seed % 2 == 0 ? 3200 : file.size())] ^=
        static_cast<char>(1 << random.Below(8));
    WriteWholeFile(scratch / "m.gguf", mutant);
    const auto checkpoint = Checkpoint::Open(scratch / "m.gguf");
    if (!checkpoint.ok()) continue;
    ++opened;
    for (const TensorInfo& info : (*checkpoint)->tensors()) {
      out.resize(static_cast<size_t>(info.elements()));
      (*checkpoint)->ReadF32(info.name, absl::MakeSpan(out)).IgnoreError();
    }
  }
  EXPECT_GT(opened, 50);
}

TEST(GgufNames, EveryNameComesBack) {
  for (const auto architecture :
       {GgufArchitecture::kLlama, GgufArchitecture::kQwen2,
        GgufArchitecture::kQwen3, GgufArchitecture::kGemma3}) {
    for (const std::string name :
         {"token_embd.weight", "output_norm.weight", "output.weight",
          "blk.12.attn_q.weight", "blk.0.attn_q.bias", "blk.7.ffn_norm.weight",
          "blk.3.attn_k_norm.weight", "rope_freqs.weight"}) {
      const auto hf = HfNameOfGguf(architecture, name);
      ASSERT_TRUE(hf.ok()) << hf.status();
      const auto back = GgufNameOfHf(architecture, hf->name);
      ASSERT_TRUE(back.ok()) << back.status();
      EXPECT_EQ(*back, name);
    }
  }
  for (const std::string name :
       {"blk.01.attn_q.weight", "blk..attn_q.weight", "blk.1.attn_q",
        "blk.1.attn_q.scale", "blk.-1.attn_q.weight", "blk.9999999.ffn_up.bias",
        "", "weight", "."}) {
    EXPECT_FALSE(HfNameOfGguf(GgufArchitecture::kLlama, name).ok()) << name;
  }
}

TEST(Checkpoint, ReadsTheRealModel) {
  const char* path = std::getenv("EVOPRESS_TEST_MODEL");
  if (path == nullptr) {
    GTEST_SKIP() << "set EVOPRESS_TEST_MODEL to SmolLM2-135M-Instruct as GGUF";
  }
  const auto checkpoint = MustOpen(path);
  ASSERT_NE(checkpoint, nullptr);
  EXPECT_EQ(checkpoint->tensors().size(), 272u);
  EXPECT_EQ(checkpoint->config()["rope_theta"], 100000.0);
  EXPECT_EQ(checkpoint->config()["rms_norm_eps"], 1e-5);
  // From the gguf package, with q and k as transformers has them.
  for (const auto& [name, hash] :
       {std::pair{"model.embed_tokens.weight", "3fd491c8066dd9dc"},
        {"model.layers.3.mlp.down_proj.weight", "4776fb25ee5f67b7"},
        {"model.layers.3.self_attn.k_proj.weight", "64d260baa4d5478c"},
        {"model.layers.3.self_attn.q_proj.weight", "104838da8b4afb8d"}}) {
    const TensorInfo* info = checkpoint->Find(name);
    ASSERT_NE(info, nullptr) << name;
    EXPECT_EQ(HashOfTensor(*checkpoint, *info).substr(0, 16), hash) << name;
  }
}

}  // namespace
}  // namespace evopress::quant
