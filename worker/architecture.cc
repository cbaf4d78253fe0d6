#include "worker/architecture.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace evopress::worker {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxSize = int64_t{1} << 24;  // of any one dimension
constexpr int64_t kMaxLayers = 4096;
constexpr int64_t kMaxExperts = 1024;

// What sets one family apart from plain Llama.
struct Family {
  bool qkv_bias = false;        // unless the configuration says otherwise
  bool head_norms = false;      // RMS norm of each query and key head
  bool sandwich_norms = false;  // norms after attention and MLP too
  bool plus_one = false;
  bool scaled_embedding = false;
  bool windowed = false;        // sliding_window applies without layer_types
  bool moe = false;             // MLPs of many experts
  bool numbered_names = false;  // an expert's parts are w1, w3 and w2
  Activation activation = Activation::kSilu;
};

const std::map<std::string, Family>& Families() {
  static const auto* const families = new std::map<std::string, Family>{
      {"llama", {}},
      {"mistral", {.windowed = true}},
      {"qwen2", {.qkv_bias = true}},
      {"qwen3", {.head_norms = true}},
      {"mixtral", {.windowed = true, .moe = true, .numbered_names = true}},
      {"qwen3_moe", {.head_norms = true, .moe = true}},
      {"gemma3_text",
       {.head_norms = true,
        .sandwich_norms = true,
        .plus_one = true,
        .scaled_embedding = true,
        .windowed = true,
        .activation = Activation::kGeluTanh}},
  };
  return *families;
}

// Typed reads that collect the first error, so that callers read straight on.
class Reader {
 public:
  explicit Reader(const Json& config) : config_(config) {}

  const Json* Find(const std::string& key) const {
    if (!config_.is_object()) return nullptr;
    const auto it = config_.find(key);
    return it == config_.end() || it->is_null() ? nullptr : &*it;
  }

  int64_t Size(const std::string& key, int64_t fallback = -1) {
    const Json* const value = Find(key);
    if (value == nullptr) {
      if (fallback < 0) Fail(key, "is missing");
      return fallback;
    }
    if (!value->is_number_integer() || value->get<int64_t>() < 1 ||
        value->get<int64_t>() > kMaxSize) {
      Fail(key, absl::StrCat("must be an integer from 1 to ", kMaxSize));
      return 1;
    }
    return value->get<int64_t>();
  }

  double Number(const std::string& key, double fallback) {
    const Json* const value = Find(key);
    if (value == nullptr) return fallback;
    if (!value->is_number() || !std::isfinite(value->get<double>()) ||
        value->get<double>() < 0) {
      Fail(key, "must be a number, 0 or more");
      return fallback;
    }
    return value->get<double>();
  }

  double Positive(const std::string& key, double fallback) {
    const double value = Number(key, fallback);
    if (value > 0) return value;
    Fail(key, "must be positive");
    return 1;
  }

  bool Flag(const std::string& key, bool fallback) {
    const Json* const value = Find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) {
      Fail(key, "must be true or false");
      return fallback;
    }
    return value->get<bool>();
  }

  std::string Text(const std::string& key, const std::string& fallback) {
    const Json* const value = Find(key);
    if (value == nullptr) return fallback;
    if (!value->is_string()) {
      Fail(key, "must be a string");
      return fallback;
    }
    return value->get<std::string>();
  }

  void Fail(const std::string& key, const std::string& what) {
    if (status_.ok()) {
      status_ = absl::InvalidArgumentError(
          absl::StrCat("model configuration: ", key, " ", what));
    }
  }
  void Lack(const std::string& what) {
    if (status_.ok()) {
      status_ = absl::UnimplementedError(
          absl::StrCat("the engine does not know ", what));
    }
  }
  void Merge(const Reader& other) {
    if (status_.ok()) status_ = other.status_;
  }
  const absl::Status& status() const { return status_; }

 private:
  const Json& config_;
  absl::Status status_;
};

// What YaRN multiplies sines and cosines by, as transformers derives it.
double YarnAttentionFactor(Reader& scaling, double factor) {
  const auto mscale = [factor](double m) {
    return factor <= 1 ? 1.0 : 0.1 * m * std::log(factor) + 1.0;
  };
  if (scaling.Find("attention_factor") != nullptr) {
    return scaling.Number("attention_factor", 1);
  }
  const double m = scaling.Number("mscale", 0);
  const double all = scaling.Number("mscale_all_dim", 0);
  return m > 0 && all > 0 ? mscale(m) / mscale(all) : mscale(1);
}

void ReadScaling(const Json& json, double positions, Reader& config,
                 RopeSpec& spec) {
  Reader scaling(json);
  const std::string type =
      scaling.Text("rope_type", scaling.Text("type", "default"));
  spec.base = scaling.Positive("rope_theta", spec.base);
  spec.factor = scaling.Positive("factor", 1);
  spec.original_positions =
      scaling.Positive("original_max_position_embeddings", positions);
  if (type == "default") {
    spec.factor = 1;
  } else if (type == "linear") {
    spec.scaling = RopeSpec::Scaling::kLinear;
  } else if (type == "llama3") {
    spec.scaling = RopeSpec::Scaling::kLlama3;
    spec.low_freq_factor = scaling.Positive("low_freq_factor", 1);
    spec.high_freq_factor = scaling.Positive("high_freq_factor", 4);
    if (spec.high_freq_factor <= spec.low_freq_factor) {
      scaling.Fail("high_freq_factor", "must exceed low_freq_factor");
    }
  } else if (type == "yarn") {
    spec.scaling = RopeSpec::Scaling::kYarn;
    spec.beta_fast = scaling.Positive("beta_fast", 32);
    spec.beta_slow = scaling.Positive("beta_slow", 1);
    spec.truncate = scaling.Flag("truncate", true);
    spec.attention_factor = YarnAttentionFactor(scaling, spec.factor);
    if (spec.base <= 1) scaling.Fail("rope_theta", "must exceed 1");
  } else {
    scaling.Lack(absl::StrCat("rope type '", type,
                              "'; known: default, linear, llama3, yarn"));
  }
  config.Merge(scaling);
}

// Ropes 0 (full attention) and 1 (local attention, where the model has one of
// its own). Configurations of transformers 5 hold all in rope_parameters.
void ReadRopes(Reader& config, int64_t head_dim, bool local,
               Architecture& arch) {
  RopeSpec full;
  full.base = config.Positive("rope_theta", local ? 1e6 : 1e4);
  const double partial = config.Positive("partial_rotary_factor", 1);
  if (partial > 1) config.Fail("partial_rotary_factor", "exceeds 1");
  full.dims = static_cast<int64_t>(head_dim * partial) / 2 * 2;
  RopeSpec sliding = full;
  sliding.base = config.Positive("rope_local_base_freq", 1e4);
  const double positions = config.Number("max_position_embeddings", 2048);
  const Json* parameters = config.Find("rope_parameters");
  if (parameters == nullptr) parameters = config.Find("rope_scaling");
  if (parameters != nullptr && !parameters->is_object()) {
    config.Fail("rope_scaling", "must be an object");
  } else if (parameters != nullptr) {
    const Reader nested(*parameters);
    const Json* const of_full = nested.Find("full_attention");
    const Json* const of_sliding = nested.Find("sliding_attention");
    ReadScaling(of_full != nullptr ? *of_full : *parameters, positions, config,
                full);
    if (of_sliding != nullptr) {
      ReadScaling(*of_sliding, positions, config, sliding);
    }
  }
  arch.ropes = {full};
  if (local) arch.ropes.push_back(sliding);
}

// Which layers attend to a window only.
std::vector<bool> SlidingLayers(Reader& config, const Family& family,
                                int64_t layers) {
  std::vector<bool> sliding(layers, false);
  if (const Json* const types = config.Find("layer_types")) {
    if (!types->is_array() || types->size() != uint64_t(layers)) {
      config.Fail("layer_types", "must have one entry a layer");
      return sliding;
    }
    for (int64_t l = 0; l < layers; ++l) {
      const Json& type = (*types)[l];
      if (type == "sliding_attention") {
        sliding[l] = true;
      } else if (type != "full_attention") {
        config.Lack(absl::StrCat("layer type ", type.dump()));
      }
    }
    return sliding;
  }
  if (family.scaled_embedding) {
    const int64_t pattern = config.Size("sliding_window_pattern", 6);
    for (int64_t l = 0; l < layers; ++l) sliding[l] = (l + 1) % pattern != 0;
  } else if (family.windowed) {
    sliding.assign(layers, config.Find("sliding_window") != nullptr);
  } else if (config.Flag("use_sliding_window", false)) {
    const int64_t first = config.Number("max_window_layers", 28);
    for (int64_t l = first; l < layers; ++l) sliding[l] = true;
  }
  return sliding;
}

// The experts of blocks that have them.
struct Experts {
  int64_t count = 0;
  int64_t per_token = 0;
  int64_t intermediate = 0;
  bool normalize = true;
  std::vector<bool> in_block;
};

Experts ReadExperts(Reader& config, const Family& family, int64_t layers) {
  Experts experts;
  experts.in_block.assign(std::min(layers, kMaxLayers), false);
  if (!family.moe) return experts;
  experts.count = config.Find("num_local_experts") != nullptr
                      ? config.Size("num_local_experts")
                      : config.Size("num_experts");
  experts.per_token = config.Size("num_experts_per_tok");
  experts.intermediate = config.Size(
      "moe_intermediate_size",
      family.numbered_names ? config.Size("intermediate_size") : -1);
  experts.normalize = config.Flag("norm_topk_prob", family.numbered_names);
  if (experts.count > kMaxExperts) {
    config.Fail("num_experts", absl::StrCat("exceeds ", kMaxExperts));
  }
  if (experts.per_token > experts.count) {
    config.Fail("num_experts_per_tok", "exceeds the number of experts");
  }
  const int64_t step = config.Size("decoder_sparse_step", 1);
  for (size_t l = 0; l < experts.in_block.size(); ++l) {
    experts.in_block[l] = (static_cast<int64_t>(l) + 1) % step == 0;
  }
  if (const Json* const dense = config.Find("mlp_only_layers")) {
    for (const Json& layer : *dense) {
      if (!layer.is_number_integer() || layer < 0 || layer >= layers) {
        config.Fail("mlp_only_layers", "must be indices of layers");
        return experts;
      }
      experts.in_block[layer.get<int64_t>()] = false;
    }
  }
  return experts;
}

// Gate, up and down of the block's MLP or of all its experts.
void AddMlp(const Family& family, const Experts& experts,
            const std::string& base, int64_t hidden, int64_t intermediate,
            bool bias, BlockSpec& block) {
  block.mlp =
      base +
      (block.experts > 0 && family.numbered_names ? "block_sparse_moe" : "mlp");
  const std::string module = block.mlp + ".";
  const auto add = [&](const std::string& gate, const std::string& up,
                       const std::string& down, int64_t inner) {
    block.linears.push_back({gate, inner, hidden, bias});
    block.linears.push_back({up, inner, hidden, bias});
    block.linears.push_back({down, hidden, inner, bias});
  };
  if (block.experts == 0) {
    add(module + "gate_proj", module + "up_proj", module + "down_proj",
        intermediate);
    return;
  }
  block.router = module + "gate.weight";
  for (int64_t e = 0; e < experts.count; ++e) {
    const std::string expert = absl::StrCat(module, "experts.", e, ".");
    if (family.numbered_names) {
      add(expert + "w1", expert + "w3", expert + "w2", experts.intermediate);
    } else {
      add(expert + "gate_proj", expert + "up_proj", expert + "down_proj",
          experts.intermediate);
    }
  }
}

Activation ReadActivation(Reader& config, const Family& family) {
  const std::string name = config.Text(
      "hidden_act",
      config.Text("hidden_activation", family.activation == Activation::kSilu
                                           ? "silu"
                                           : "gelu_pytorch_tanh"));
  if (name == "silu" || name == "swish") return Activation::kSilu;
  if (name == "gelu_pytorch_tanh") return Activation::kGeluTanh;
  config.Lack(
      absl::StrCat("activation '", name, "'; known: silu, gelu_pytorch_tanh"));
  return family.activation;
}

}  // namespace

int InputSites(const BlockSpec& block) {
  return kMlpInput + kSitesOfExpert * std::max(block.experts, 1);
}

std::string SiteName(const BlockSpec& block, int index, int site) {
  if (site == kAttentionInput)
    return absl::StrCat("block ", index, " attention");
  if (site == kOutputInput) return absl::StrCat("block ", index, " output");
  const int expert = (site - kMlpInput) / kSitesOfExpert;
  return absl::StrCat(
      "block ", index,
      block.experts > 0 ? absl::StrCat(" expert ", expert) : std::string(),
      site == ExpertSite(expert, kMlpInput) ? " mlp" : " down");
}

absl::StatusOr<Architecture> MakeArchitecture(const nlohmann::json& json,
                                              const std::string& prefix,
                                              bool tied) {
  Reader config(json);
  Architecture arch;
  arch.model_type = config.Text("model_type", "");
  const auto family_it = Families().find(arch.model_type);
  if (family_it == Families().end()) {
    if (!config.status().ok()) return config.status();
    return absl::UnimplementedError(absl::StrCat(
        "the engine does not know model_type '", arch.model_type, "'; known: ",
        absl::StrJoin(Families(), ", ",
                      [](std::string* out, const auto& entry) {
                        out->append(entry.first);
                      })));
  }
  const Family& family = family_it->second;
  arch.hidden = config.Size("hidden_size");
  arch.vocab = config.Size("vocab_size");
  arch.norm_epsilon = config.Number("rms_norm_eps", 1e-6);
  arch.norm_plus_one = family.plus_one;
  if (family.scaled_embedding) arch.embedding_scale = std::sqrt(arch.hidden);
  arch.activation = ReadActivation(config, family);
  arch.final_softcap = config.Number("final_logit_softcapping", 0);
  if (config.Number("attn_logit_softcapping", 0) > 0) {
    config.Lack("attn_logit_softcapping");
  }
  if (config.Find("quantization_config") != nullptr) {
    config.Lack("checkpoints with a quantization_config");
  }
  const int64_t layers = config.Size("num_hidden_layers");
  const int64_t intermediate = config.Size("intermediate_size");
  const int64_t heads = config.Size("num_attention_heads");
  const int64_t kv_heads = config.Size("num_key_value_heads", heads);
  const int64_t head_dim =
      config.Size("head_dim", family.scaled_embedding
                                  ? 256
                                  : std::max<int64_t>(arch.hidden / heads, 1));
  if (layers > kMaxLayers) config.Fail("num_hidden_layers", "is too large");
  if (heads % kv_heads != 0) {
    config.Fail("num_attention_heads", "must be divided by the key heads");
  }
  if (heads > kMaxSize / head_dim) config.Fail("head_dim", "is too large");
  if (head_dim % 16 != 0 || head_dim > kMaxHeadDim) {
    config.Lack(absl::StrCat("heads of ", head_dim,
                             " dimensions; they must be a multiple of 16 and "
                             "at most ",
                             kMaxHeadDim));
  }
  const double scalar = config.Positive("query_pre_attn_scalar", head_dim);
  arch.attention = {heads, kv_heads, head_dim,
                    static_cast<float>(1 / std::sqrt(scalar)), 0};
  ReadRopes(config, head_dim, family.scaled_embedding, arch);
  const std::vector<bool> sliding = config.status().ok()
                                        ? SlidingLayers(config, family, layers)
                                        : std::vector<bool>();
  const bool qkv_bias = config.Flag("attention_bias", family.qkv_bias);
  const bool output_bias = config.Flag("attention_bias", false);
  const bool mlp_bias = config.Flag("mlp_bias", false);
  const Experts experts = ReadExperts(config, family, layers);
  if (!config.status().ok()) return config.status();

  for (int64_t l = 0; l < layers; ++l) {
    const std::string base = absl::StrCat(prefix, "layers.", l, ".");
    BlockSpec block;
    block.attention = base + "self_attn";
    const auto attention = [&block](const char* name) {
      return absl::StrCat(block.attention, ".", name);
    };
    const int64_t queries = heads * head_dim;
    const int64_t keys = kv_heads * head_dim;
    block.linears = {{attention("q_proj"), queries, arch.hidden, qkv_bias},
                     {attention("k_proj"), keys, arch.hidden, qkv_bias},
                     {attention("v_proj"), keys, arch.hidden, qkv_bias},
                     {attention("o_proj"), arch.hidden, queries, output_bias}};
    if (experts.in_block[l]) {
      block.experts = static_cast<int>(experts.count);
      block.experts_per_token = static_cast<int>(experts.per_token);
      block.normalize_experts = experts.normalize;
    }
    AddMlp(family, experts, base, arch.hidden, intermediate, mlp_bias, block);
    block.attention_norm = base + "input_layernorm.weight";
    block.mlp_norm = base + "post_attention_layernorm.weight";
    if (family.sandwich_norms) {
      block.post_attention_norm = base + "post_attention_layernorm.weight";
      block.mlp_norm = base + "pre_feedforward_layernorm.weight";
      block.post_mlp_norm = base + "post_feedforward_layernorm.weight";
    }
    if (family.head_norms) {
      block.query_norm = attention("q_norm.weight");
      block.key_norm = attention("k_norm.weight");
    }
    if (sliding[l]) block.window = config.Size("sliding_window", 4096);
    block.rope = sliding[l] && arch.ropes.size() > 1 ? 1 : 0;
    arch.blocks.push_back(std::move(block));
  }
  if (!config.status().ok()) return config.status();
  arch.embedding = prefix + "embed_tokens.weight";
  arch.final_norm = prefix + "norm.weight";
  arch.head = tied ? arch.embedding : "lm_head.weight";
  return arch;
}

LinearSpec EmbeddingLayer(const Architecture& a) {
  return {std::string(absl::StripSuffix(a.embedding, ".weight")), a.vocab,
          a.hidden};
}

std::vector<std::string> OuterLayers(const Architecture& a) {
  std::vector<std::string> names = {EmbeddingLayer(a).name};
  if (!a.tied()) names.push_back(HeadLayer(a).name);
  return names;
}

LinearSpec HeadLayer(const Architecture& a) {
  return {std::string(absl::StripSuffix(a.head, ".weight")), a.vocab, a.hidden};
}

}  // namespace evopress::worker
