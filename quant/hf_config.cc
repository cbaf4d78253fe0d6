#include "quant/hf_config.h"

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace evopress::quant {
namespace {

using nlohmann::json;

bool Has(const json& config, const char* key) {
  return config.contains(key) && !config[key].is_null();
}

void Default(json& config, const char* key, const json& value) {
  if (!Has(config, key)) config[key] = value;
}

// transformers 5: {"rope_type", "rope_theta", ...}, or one such object per
// kind of layer.
void LowerRopeParameters(json& config) {
  if (!Has(config, "rope_parameters") ||
      !config["rope_parameters"].is_object()) {
    return;
  }
  json rope = config["rope_parameters"];
  if (rope.contains("full_attention") && rope["full_attention"].is_object()) {
    const json local = rope.value("sliding_attention", json::object());
    if (local.is_object() && local.contains("rope_theta")) {
      Default(config, "rope_local_base_freq", local["rope_theta"]);
    }
    rope = json(rope["full_attention"]);
  }
  if (rope.contains("rope_theta")) {
    Default(config, "rope_theta", rope["rope_theta"]);
    rope.erase("rope_theta");
  }
  const bool plain =
      !rope.contains("rope_type") || rope["rope_type"] == "default";
  if (!plain) Default(config, "rope_scaling", rope);
}

void LowerRopeScaling(json& config) {
  if (!Has(config, "rope_scaling")) {
    config["rope_scaling"] = nullptr;
    return;
  }
  json& scaling = config["rope_scaling"];
  if (!scaling.is_object()) return;
  // "type" is the key that older versions wrote.
  if (!scaling.contains("rope_type") && scaling.contains("type")) {
    scaling["rope_type"] = scaling["type"];
  }
  if (scaling.contains("rope_type") && scaling["rope_type"] == "default") {
    config["rope_scaling"] = nullptr;
  }
}

void AddLayerTypes(json& config, bool gemma) {
  if (Has(config, "layer_types")) return;
  const int64_t layers = config["num_hidden_layers"].get<int64_t>();
  int64_t period = 6;
  if (Has(config, "sliding_window_pattern") &&
      config["sliding_window_pattern"].is_number_integer()) {
    period = config["sliding_window_pattern"].get<int64_t>();
  }
  const bool window = Has(config, "sliding_window");
  const bool mistral = config["model_type"] == "mistral";
  json types = json::array();
  for (int64_t i = 0; i < layers; ++i) {
    const bool sliding =
        window && (mistral || (gemma && period > 0 && (i + 1) % period != 0));
    types.push_back(sliding ? "sliding_attention" : "full_attention");
  }
  config["layer_types"] = types;
}

}  // namespace

absl::StatusOr<json> NormalizeHfConfig(const json& original) {
  if (!original.is_object()) {
    return absl::DataLossError("config.json is not an object");
  }
  json config = original;
  if (Has(original, "text_config") && original["text_config"].is_object()) {
    config = original["text_config"];
    if (!Has(config, "model_type") &&
        original.value("model_type", json()) == "gemma3") {
      config["model_type"] = "gemma3_text";
    }
    if (Has(original, "tie_word_embeddings")) {
      Default(config, "tie_word_embeddings", original["tie_word_embeddings"]);
    }
  }
  if (!Has(config, "model_type") || !config["model_type"].is_string()) {
    return absl::DataLossError("config.json has no model_type");
  }
  constexpr int64_t kLargest = int64_t{1} << 31;
  for (const char* key :
       {"hidden_size", "num_hidden_layers", "intermediate_size",
        "num_attention_heads", "vocab_size"}) {
    if (!Has(config, key) || !config[key].is_number_integer() ||
        config[key].get<int64_t>() < 1 ||
        config[key].get<int64_t>() > kLargest) {
      return absl::DataLossError(
          absl::StrCat("config.json: ", key, " is missing or out of range"));
    }
  }
  if (config["num_hidden_layers"].get<int64_t>() > 10000) {
    return absl::DataLossError("config.json: num_hidden_layers exceeds 10000");
  }
  const bool gemma = config["model_type"] == "gemma3_text";
  LowerRopeParameters(config);
  LowerRopeScaling(config);
  Default(config, "num_key_value_heads", config["num_attention_heads"]);
  Default(config, "head_dim",
          gemma ? json(256)
                : json(config["hidden_size"].get<int64_t>() /
                       config["num_attention_heads"].get<int64_t>()));
  Default(config, "rms_norm_eps", 1e-6);
  Default(config, "rope_theta", gemma ? 1e6 : 1e4);
  Default(config, "max_position_embeddings", gemma ? 131072 : 4096);
  Default(config, "tie_word_embeddings", gemma);
  Default(config, "attention_bias", config["model_type"] == "qwen2");
  Default(config, "mlp_bias", false);
  if (gemma) {
    Default(config, "hidden_activation", "gelu_pytorch_tanh");
    Default(config, "hidden_act", config["hidden_activation"]);
    Default(config, "query_pre_attn_scalar", 256);
    Default(config, "rope_local_base_freq", 1e4);
    Default(config, "sliding_window", 4096);
  }
  Default(config, "hidden_act", "silu");
  // Qwen names a window that it does not use.
  if (config.value("use_sliding_window", json(true)) == false) {
    config["sliding_window"] = nullptr;
  }
  Default(config, "sliding_window", nullptr);
  AddLayerTypes(config, gemma);
  return config;
}

std::string LanguageTensorName(const std::string& name) {
  for (const char* prefix :
       {"vision_tower.", "model.vision_tower.", "multi_modal_projector.",
        "model.multi_modal_projector."}) {
    if (absl::StartsWith(name, prefix)) return "";
  }
  if (absl::StartsWith(name, "language_model.")) {
    return name.substr(sizeof("language_model.") - 1);
  }
  if (absl::StartsWith(name, "model.language_model.")) {
    return "model." + name.substr(sizeof("model.language_model.") - 1);
  }
  return name;
}

}  // namespace evopress::quant
