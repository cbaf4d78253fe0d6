#include "quant/gguf_config.h"

#include <cmath>
#include <cstdint>
#include <numbers>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "quant/dequantize.h"

namespace evopress::quant {
namespace {

using nlohmann::json;

constexpr int64_t kMaxLayers = 10000;
constexpr int64_t kMaxDimension = int64_t{1} << 31;

// Makes one configuration; remembers the first error.
class ConfigMaker {
 public:
  ConfigMaker(const GgufReader& reader, GgufArchitecture architecture)
      : reader_(reader),
        metadata_(reader.metadata()),
        architecture_(architecture),
        prefix_(metadata_.GetString("general.architecture").value_or("") +
                ".") {}

  absl::StatusOr<json> Make();

 private:
  absl::Status Missing(const std::string& key) const {
    return absl::DataLossError(absl::StrCat(reader_.files()[0],
                                            ": metadata key ", key,
                                            " is missing or out of range"));
  }
  std::optional<int64_t> Integer(const std::string& key) const {
    return metadata_.GetInteger(prefix_ + key);
  }
  std::optional<double> Number(const std::string& key) const {
    return metadata_.GetNumber(prefix_ + key);
  }
  bool HasTensor(const std::string& name) const {
    return reader_.Find(name) != nullptr;
  }

  absl::StatusOr<int64_t> Dimension(const std::string& key, int64_t limit);
  absl::StatusOr<int64_t> FeedForwardLength();
  absl::StatusOr<double> Positive(const std::string& key, double fallback);
  absl::Status AddShapes(json& config);
  absl::Status AddRope(json& config);
  absl::Status AddRopeFactors(json& config);
  absl::Status AddGemma(json& config);

  const GgufReader& reader_;
  const GgufMetadata& metadata_;
  const GgufArchitecture architecture_;
  const std::string prefix_;
  int64_t layers_ = 0;
  int64_t hidden_ = 0;
  int64_t heads_ = 0;
  int64_t head_dim_ = 0;
};

// Floats of the file are float32; 1e-5 is 9.99999974e-06 there. The shortest
// decimal that gives the same float32 is what the author wrote.
double Shortest(double value) {
  const float narrow = static_cast<float>(value);
  if (static_cast<double>(narrow) != value) return value;
  for (int digits = 1; digits <= 9; ++digits) {
    double parsed = 0;
    if (absl::SimpleAtod(absl::StrFormat("%.*g", digits, value), &parsed) &&
        static_cast<float>(parsed) == narrow) {
      return parsed;
    }
  }
  return value;
}

absl::StatusOr<int64_t> ConfigMaker::Dimension(const std::string& key,
                                               int64_t limit) {
  const std::optional<int64_t> value = Integer(key);
  if (!value || *value < 1 || *value > limit) return Missing(prefix_ + key);
  return *value;
}

// Some models store one value per layer; equal ones are one value.
absl::StatusOr<int64_t> ConfigMaker::FeedForwardLength() {
  const std::string key = "feed_forward_length";
  const std::vector<int64_t> each = metadata_.GetIntegers(prefix_ + key);
  if (each.empty()) return Dimension(key, kMaxDimension);
  for (const int64_t value : each) {
    if (value != each[0] || value < 1 || value > kMaxDimension) {
      return absl::UnimplementedError(
          absl::StrCat(reader_.files()[0], ": ", prefix_, key,
                       " differs between layers, which is not supported"));
    }
  }
  return each[0];
}

absl::StatusOr<double> ConfigMaker::Positive(const std::string& key,
                                             double fallback) {
  if (metadata_.Find(prefix_ + key) == nullptr) return fallback;
  const std::optional<double> value = Number(key);
  if (!value || !(*value > 0)) return Missing(prefix_ + key);
  return Shortest(*value);
}

absl::Status ConfigMaker::AddShapes(json& config) {
  absl::StatusOr<int64_t> value = Dimension("block_count", kMaxLayers);
  if (!value.ok()) return value.status();
  config["num_hidden_layers"] = layers_ = *value;
  value = Dimension("embedding_length", kMaxDimension);
  if (!value.ok()) return value.status();
  config["hidden_size"] = hidden_ = *value;
  value = FeedForwardLength();
  if (!value.ok()) return value.status();
  config["intermediate_size"] = *value;
  value = Dimension("attention.head_count", kMaxDimension);
  if (!value.ok()) return value.status();
  config["num_attention_heads"] = heads_ = *value;
  config["num_key_value_heads"] = heads_;
  if (metadata_.Find(prefix_ + "attention.head_count_kv") != nullptr) {
    value = Dimension("attention.head_count_kv", heads_);
    if (!value.ok()) return value.status();
    if (heads_ % *value != 0)
      return Missing(prefix_ + "attention.head_count_kv");
    config["num_key_value_heads"] = *value;
  }
  head_dim_ = hidden_ / heads_;
  if (metadata_.Find(prefix_ + "attention.key_length") != nullptr) {
    value = Dimension("attention.key_length", kMaxDimension);
    if (!value.ok()) return value.status();
    head_dim_ = *value;
  } else if (hidden_ % heads_ != 0) {
    return Missing(prefix_ + "attention.key_length");
  }
  if (head_dim_ % 2 != 0) return Missing(prefix_ + "attention.key_length");
  config["head_dim"] = head_dim_;
  value = Dimension("context_length", kMaxDimension);
  if (!value.ok()) return value.status();
  config["max_position_embeddings"] = *value;

  const GgufTensor* embedding = reader_.Find("token_embd.weight");
  if (embedding == nullptr || embedding->dims.size() != 2) {
    return absl::DataLossError(
        absl::StrCat(reader_.files()[0],
                     ": tensor token_embd.weight is missing or not a "
                     "matrix"));
  }
  config["vocab_size"] = embedding->dims[1];
  return absl::OkStatus();
}

// Llama 3's frequency factors as Hugging Face parametrizes them; the values
// that every published model uses, kept only if they reproduce `factors`.
std::optional<json> FitLlama3(absl::Span<const float> factors, double theta) {
  constexpr double kLow = 1.0, kHigh = 4.0, kOriginal = 8192.0;
  const double factor = factors.back();
  const size_t half = factors.size();
  for (size_t i = 0; i < half; ++i) {
    const double wavelength =
        2.0 * std::numbers::pi *
        std::pow(theta, static_cast<double>(i) / static_cast<double>(half));
    double expected = 1.0;
    if (wavelength > kOriginal / kLow) {
      expected = factor;
    } else if (wavelength >= kOriginal / kHigh) {
      const double smooth = (kOriginal / wavelength - kLow) / (kHigh - kLow);
      expected = 1.0 / ((1.0 - smooth) / factor + smooth);
    }
    if (std::abs(factors[i] - expected) > 1e-4 * expected) return {};
  }
  return json{
      {"factor", factor},
      {"low_freq_factor", kLow},
      {"high_freq_factor", kHigh},
      {"original_max_position_embeddings", static_cast<int64_t>(kOriginal)}};
}

absl::Status ConfigMaker::AddRopeFactors(json& config) {
  const GgufTensor* tensor = reader_.Find("rope_freqs.weight");
  const int64_t rotated = Integer("rope.dimension_count").value_or(head_dim_);
  std::vector<float> factors(static_cast<size_t>(head_dim_ / 2));
  if (tensor->traits->type != GgmlType::kF32 || tensor->dims.size() != 1 ||
      tensor->dims[0] != head_dim_ / 2 || rotated != head_dim_) {
    return absl::DataLossError(
        absl::StrCat(reader_.files()[0], ": tensor rope_freqs.weight is not ",
                     head_dim_ / 2, " values of F32"));
  }
  const absl::Status status =
      Dequantize(GgmlType::kF32, tensor->bytes, absl::MakeSpan(factors));
  if (!status.ok()) return status;
  json scaling = {{"rope_type", "llama3"},
                  {"factors_tensor", "rope_freqs.weight"}};
  if (std::optional<json> fitted =
          FitLlama3(factors, config["rope_theta"].get<double>())) {
    scaling.update(*fitted);
  }
  config["rope_scaling"] = std::move(scaling);
  return absl::OkStatus();
}

absl::Status ConfigMaker::AddRope(json& config) {
  absl::StatusOr<double> theta = Positive("rope.freq_base", 10000.0);
  if (!theta.ok()) return theta.status();
  config["rope_theta"] = *theta;
  config["rope_scaling"] = nullptr;
  const int64_t rotated = Integer("rope.dimension_count").value_or(head_dim_);
  if (rotated < 2 || rotated > head_dim_ || rotated % 2 != 0) {
    return Missing(prefix_ + "rope.dimension_count");
  }
  if (rotated != head_dim_) {
    config["partial_rotary_factor"] =
        static_cast<double>(rotated) / static_cast<double>(head_dim_);
  }
  if (HasTensor("rope_freqs.weight")) return AddRopeFactors(config);

  const std::string type =
      metadata_.GetString(prefix_ + "rope.scaling.type").value_or("none");
  if (type == "none") return absl::OkStatus();
  if (type != "linear" && type != "yarn") {
    return absl::UnimplementedError(
        absl::StrCat(reader_.files()[0], ": rope scaling '",
                     type == "longrope" ? type : "of an unknown type",
                     "' is not supported; linear and yarn are"));
  }
  const absl::StatusOr<double> factor = Positive("rope.scaling.factor", 1.0);
  if (!factor.ok()) return factor.status();
  json scaling = {{"rope_type", type}, {"factor", *factor}};
  if (type == "yarn") {
    const int64_t original =
        Integer("rope.scaling.original_context_length").value_or(0);
    if (original < 1) {
      return Missing(prefix_ + "rope.scaling.original_context_length");
    }
    scaling["original_max_position_embeddings"] = original;
    if (const auto beta = Number("rope.scaling.yarn_beta_fast")) {
      scaling["beta_fast"] = Shortest(*beta);
    }
    if (const auto beta = Number("rope.scaling.yarn_beta_slow")) {
      scaling["beta_slow"] = Shortest(*beta);
    }
    if (const auto factor_of_attention = Number("rope.scaling.attn_factor")) {
      scaling["attention_factor"] = Shortest(*factor_of_attention);
    }
  }
  config["rope_scaling"] = std::move(scaling);
  return absl::OkStatus();
}

absl::Status ConfigMaker::AddGemma(json& config) {
  config["hidden_activation"] = "gelu_pytorch_tanh";
  config["hidden_act"] = "gelu_pytorch_tanh";
  const absl::StatusOr<double> local = Positive("rope.freq_base_swa", 10000.0);
  if (!local.ok()) return local.status();
  config["rope_local_base_freq"] = *local;
  // The file does not say the attention scale unless it is unusual; llama.cpp
  // knows that the model of 62 layers (27B) divides by hidden size per head.
  constexpr int64_t kLayersOf27B = 62;
  config["query_pre_attn_scalar"] =
      layers_ == kLayersOf27B ? hidden_ / heads_ : head_dim_;
  if (metadata_.Find(prefix_ + "attention.scale") != nullptr) {
    const absl::StatusOr<double> scale = Positive("attention.scale", 1.0);
    if (!scale.ok()) return scale.status();
    config["query_pre_attn_scalar"] = 1.0 / (*scale * *scale);
  }
  for (const auto& [key, name] :
       {std::pair{"final_logit_softcapping", "final_logit_softcapping"},
        std::pair{"attn_logit_softcapping", "attn_logit_softcapping"}}) {
    config[name] = nullptr;
    if (const auto cap = Number(key); cap && *cap > 0) {
      config[name] = Shortest(*cap);
    }
  }
  const int64_t window = Integer("attention.sliding_window").value_or(0);
  if (window < 0) return Missing(prefix_ + "attention.sliding_window");
  config["sliding_window"] = window > 0 ? json(window) : json(nullptr);

  const std::string pattern_key = prefix_ + "attention.sliding_window_pattern";
  const std::vector<int64_t> pattern = metadata_.GetIntegers(pattern_key);
  const int64_t period = metadata_.GetInteger(pattern_key).value_or(6);
  if (period < 1 ||
      (!pattern.empty() && static_cast<int64_t>(pattern.size()) < layers_)) {
    return Missing(pattern_key);
  }
  json types = json::array();
  for (int64_t i = 0; i < layers_; ++i) {
    bool sliding = (i + 1) % period != 0;
    if (!pattern.empty()) sliding = pattern[static_cast<size_t>(i)] != 0;
    types.push_back(window > 0 && sliding ? "sliding_attention"
                                          : "full_attention");
  }
  config["layer_types"] = std::move(types);
  return absl::OkStatus();
}

const char* ModelType(GgufArchitecture architecture) {
  switch (architecture) {
    case GgufArchitecture::kLlama:
      return "llama";
    case GgufArchitecture::kQwen2:
      return "qwen2";
    case GgufArchitecture::kQwen3:
      return "qwen3";
    case GgufArchitecture::kGemma3:
      return "gemma3_text";
  }
  return "";
}

absl::StatusOr<json> ConfigMaker::Make() {
  json config;
  config["model_type"] = ModelType(architecture_);
  config["hidden_act"] = "silu";
  config["sliding_window"] = nullptr;
  if (absl::Status s = AddShapes(config); !s.ok()) return s;
  const absl::StatusOr<double> epsilon =
      Positive("attention.layer_norm_rms_epsilon", 1e-6);
  if (!epsilon.ok()) return epsilon.status();
  config["rms_norm_eps"] = *epsilon;
  if (absl::Status s = AddRope(config); !s.ok()) return s;
  config["tie_word_embeddings"] = !HasTensor("output.weight");
  config["attention_bias"] = HasTensor("blk.0.attn_q.bias");
  config["mlp_bias"] = HasTensor("blk.0.ffn_down.bias");
  config["layer_types"] = json::array();
  for (int64_t i = 0; i < layers_; ++i) {
    config["layer_types"].push_back("full_attention");
  }
  for (const auto& [key, name] :
       {std::pair{"tokenizer.ggml.bos_token_id", "bos_token_id"},
        std::pair{"tokenizer.ggml.eos_token_id", "eos_token_id"}}) {
    if (const auto id = metadata_.GetInteger(key)) config[name] = *id;
  }
  if (architecture_ == GgufArchitecture::kGemma3) {
    if (absl::Status s = AddGemma(config); !s.ok()) return s;
  }
  return config;
}

}  // namespace

absl::StatusOr<json> ConfigOfGguf(const GgufReader& reader,
                                  GgufArchitecture architecture) {
  return ConfigMaker(reader, architecture).Make();
}

}  // namespace evopress::quant
