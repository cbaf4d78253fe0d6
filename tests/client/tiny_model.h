// A tiny random Llama in Hugging Face format, with a byte-level tokenizer, for
// tests that need a whole model and must not need a download.
#ifndef EVOPRESS_TESTS_CLIENT_TINY_MODEL_H_
#define EVOPRESS_TESTS_CLIENT_TINY_MODEL_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "quant/safetensors_writer.h"

namespace evopress::client {

// A directory of its own, gone with the object.
class TempDir {
 public:
  TempDir() {
    std::string name =
        (std::filesystem::temp_directory_path() / "evopressXXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

inline void WriteText(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  ASSERT_TRUE(out.good()) << path;
}

inline std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The 256 spellings of bytes of GPT-2's byte-level alphabet, by byte.
inline std::vector<std::string> ByteAlphabet() {
  std::vector<std::string> alphabet(256);
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) ||
                           (byte >= 161 && byte <= 172) ||
                           (byte >= 174 && byte <= 255);
    const int point = printable ? byte : next++;
    if (point < 0x80) {
      alphabet[byte] = std::string(1, static_cast<char>(point));
    } else {
      alphabet[byte] = {static_cast<char>(0xC0 | (point >> 6)),
                        static_cast<char>(0x80 | (point & 0x3F))};
    }
  }
  return alphabet;
}

inline nlohmann::json TinyTokenizer() {
  nlohmann::json vocab = nlohmann::json::object();
  const auto alphabet = ByteAlphabet();
  for (int byte = 0; byte < 256; ++byte) vocab[alphabet[byte]] = byte;
  const nlohmann::json bytes = {{"type", "ByteLevel"},
                                {"add_prefix_space", false},
                                {"trim_offsets", true},
                                {"use_regex", true}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", nlohmann::json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", bytes},
          {"post_processor", nullptr},
          {"decoder", bytes},
          {"model",
           {{"type", "BPE"},
            {"vocab", vocab},
            {"merges", nlohmann::json::array()}}}};
}

// Two blocks, 256 tokens (bytes), tied head or one of its own.
inline void MakeTinyModel(const std::string& dir, uint64_t seed = 1,
                          bool tied = true, int64_t hidden = 64) {
  std::filesystem::create_directories(dir);
  const nlohmann::json config = {{"architectures", {"LlamaForCausalLM"}},
                                 {"model_type", "llama"},
                                 {"hidden_size", hidden},
                                 {"num_hidden_layers", 2},
                                 {"intermediate_size", 2 * hidden},
                                 {"num_attention_heads", 4},
                                 {"num_key_value_heads", 2},
                                 {"head_dim", 16},
                                 {"vocab_size", 256},
                                 {"max_position_embeddings", 256},
                                 {"hidden_act", "silu"},
                                 {"rms_norm_eps", 1e-5},
                                 {"rope_theta", 10000.0},
                                 {"attention_bias", false},
                                 {"mlp_bias", false},
                                 {"tie_word_embeddings", tied},
                                 {"torch_dtype", "float32"}};
  WriteText(dir + "/config.json", config.dump(1));
  WriteText(dir + "/tokenizer.json", TinyTokenizer().dump());
  std::vector<quant::SafetensorsSource> tensors;
  std::mt19937_64 random(seed);
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    int64_t count = 1;
    for (const int64_t d : shape) count *= d;
    std::vector<float> values(count, 1.0f);
    if (shape.size() == 2) {
      const float scale = 1.5f / std::sqrt(static_cast<float>(shape[1]));
      for (float& value : values) {
        // A sum of uniform draws: the same on every standard library.
        float sum = -2;
        for (int i = 0; i < 4; ++i) {
          sum += static_cast<float>(random() >> 40) * 0x1p-24f;
        }
        value = scale * 1.7f * sum;
      }
    }
    tensors.push_back({name, "F32", shape, [name, values] {
                         return quant::EncodeFloats(name, "F32", values);
                       }});
  };
  add("model.embed_tokens.weight", {256, hidden});
  add("model.norm.weight", {hidden});
  for (int block = 0; block < 2; ++block) {
    const std::string base = "model.layers." + std::to_string(block) + ".";
    add(base + "input_layernorm.weight", {hidden});
    add(base + "post_attention_layernorm.weight", {hidden});
    add(base + "self_attn.q_proj.weight", {64, hidden});
    add(base + "self_attn.k_proj.weight", {32, hidden});
    add(base + "self_attn.v_proj.weight", {32, hidden});
    add(base + "self_attn.o_proj.weight", {hidden, 64});
    add(base + "mlp.gate_proj.weight", {2 * hidden, hidden});
    add(base + "mlp.up_proj.weight", {2 * hidden, hidden});
    add(base + "mlp.down_proj.weight", {hidden, 2 * hidden});
  }
  if (!tied) add("lm_head.weight", {256, hidden});
  const auto written = quant::WriteSafetensors(dir, std::move(tensors), {});
  ASSERT_TRUE(written.ok()) << written.status();
}

// Words of a small vocabulary at random; about `bytes` long.
inline std::string TinyText(size_t bytes, uint64_t seed) {
  static const char* const kWords[] = {"the",   "search", "finds", "a",
                                       "layer", "that",   "hurts", "least",
                                       "and",   "bits"};
  std::mt19937_64 random(seed);
  std::string text;
  while (text.size() < bytes) {
    text += kWords[random() % 10];
    text += random() % 8 == 0 ? ".\n" : " ";
  }
  return text;
}

}  // namespace evopress::client

#endif  // EVOPRESS_TESTS_CLIENT_TINY_MODEL_H_
