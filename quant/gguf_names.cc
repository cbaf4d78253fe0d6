#include "quant/gguf_names.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace evopress::quant {
namespace {

struct Pair {
  const char* gguf;
  const char* hf;
};

constexpr Pair kGlobalNames[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
};

constexpr Pair kBlockNames[] = {
    {"attn_q", "self_attn.q_proj"},      {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},      {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"}, {"attn_k_norm", "self_attn.k_norm"},
    {"attn_norm", "input_layernorm"},    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},           {"ffn_down", "mlp.down_proj"},
};

// Where models with one norm before each module have their second one.
constexpr Pair kPreNormNames[] = {
    {"ffn_norm", "post_attention_layernorm"},
};

// Gemma: a norm before and one after each module.
constexpr Pair kSandwichNormNames[] = {
    {"post_attention_norm", "post_attention_layernorm"},
    {"ffn_norm", "pre_feedforward_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
};

template <size_t n>
const char* GgufToHf(const Pair (&pairs)[n], absl::string_view gguf) {
  for (const Pair& pair : pairs) {
    if (gguf == pair.gguf) return pair.hf;
  }
  return nullptr;
}

template <size_t n>
const char* HfToGguf(const Pair (&pairs)[n], absl::string_view hf) {
  for (const Pair& pair : pairs) {
    if (hf == pair.hf) return pair.gguf;
  }
  return nullptr;
}

// Splits "<prefix><number>.<stem>.<weight|bias>"; false if it is not one.
struct Parts {
  absl::string_view number;
  absl::string_view stem;
  absl::string_view kind;
};

bool SplitKind(absl::string_view name, Parts* parts) {
  const size_t dot = name.rfind('.');
  if (dot == absl::string_view::npos) return false;
  parts->stem = name.substr(0, dot);
  parts->kind = name.substr(dot + 1);
  return parts->kind == "weight" || parts->kind == "bias";
}

bool SplitBlock(absl::string_view name, absl::string_view prefix,
                Parts* parts) {
  if (!absl::StartsWith(name, prefix)) return false;
  name.remove_prefix(prefix.size());
  const size_t dot = name.find('.');
  if (dot == absl::string_view::npos || dot == 0 || dot > 6) return false;
  parts->number = name.substr(0, dot);
  for (const char c : parts->number) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
  }
  // "07" and "7" would be one layer with two names.
  if (parts->number.size() > 1 && parts->number[0] == '0') return false;
  return SplitKind(name.substr(dot + 1), parts);
}

absl::Status UnknownTensor(const std::string& name) {
  const std::string printable = absl::CHexEscape(name.substr(0, 100));
  if (absl::StrContains(name, "_exps")) {
    return absl::UnimplementedError(absl::StrCat(
        "tensor ", printable,
        " holds stacked experts, which are not read from GGUF yet; give the "
        "model as a Hugging Face folder"));
  }
  return absl::UnimplementedError(
      absl::StrCat("tensor ", printable, " is unknown in this architecture"));
}

GgufTransform TransformOf(GgufArchitecture architecture,
                          absl::string_view hf_stem) {
  switch (architecture) {
    case GgufArchitecture::kLlama:
      if (absl::EndsWith(hf_stem, "q_proj")) {
        return GgufTransform::kInterleavedQuery;
      }
      if (absl::EndsWith(hf_stem, "k_proj")) {
        return GgufTransform::kInterleavedKey;
      }
      return GgufTransform::kNone;
    case GgufArchitecture::kGemma3:
      return absl::EndsWith(hf_stem, "norm") ? GgufTransform::kPlusOne
                                             : GgufTransform::kNone;
    case GgufArchitecture::kQwen2:
    case GgufArchitecture::kQwen3:
      return GgufTransform::kNone;
  }
  return GgufTransform::kNone;
}

}  // namespace

absl::StatusOr<GgufArchitecture> ParseGgufArchitecture(
    const std::string& name) {
  if (name == "llama") return GgufArchitecture::kLlama;
  if (name == "qwen2") return GgufArchitecture::kQwen2;
  if (name == "qwen3") return GgufArchitecture::kQwen3;
  if (name == "gemma3") return GgufArchitecture::kGemma3;
  return absl::UnimplementedError(
      absl::StrCat("architecture '", absl::CHexEscape(name.substr(0, 100)),
                   "' is not supported; llama, qwen2, qwen3 and gemma3 are"));
}

absl::StatusOr<HfTensorName> HfNameOfGguf(GgufArchitecture architecture,
                                          const std::string& name) {
  if (name == "rope_freqs.weight") {
    return HfTensorName{name, GgufTransform::kNone};
  }
  Parts parts;
  if (SplitBlock(name, "blk.", &parts)) {
    const char* hf = GgufToHf(kBlockNames, parts.stem);
    if (hf == nullptr) {
      hf = architecture == GgufArchitecture::kGemma3
               ? GgufToHf(kSandwichNormNames, parts.stem)
               : GgufToHf(kPreNormNames, parts.stem);
    }
    if (hf == nullptr) return UnknownTensor(name);
    return HfTensorName{
        absl::StrCat("model.layers.", parts.number, ".", hf, ".", parts.kind),
        TransformOf(architecture, hf)};
  }
  if (!SplitKind(name, &parts)) return UnknownTensor(name);
  const char* hf = GgufToHf(kGlobalNames, parts.stem);
  if (hf == nullptr) return UnknownTensor(name);
  return HfTensorName{absl::StrCat(hf, ".", parts.kind),
                      TransformOf(architecture, hf)};
}

absl::StatusOr<std::string> GgufNameOfHf(GgufArchitecture architecture,
                                         const std::string& hf_name) {
  if (hf_name == "rope_freqs.weight") return hf_name;
  Parts parts;
  const char* gguf = nullptr;
  if (SplitBlock(hf_name, "model.layers.", &parts)) {
    gguf = HfToGguf(kBlockNames, parts.stem);
    if (gguf == nullptr) {
      gguf = architecture == GgufArchitecture::kGemma3
                 ? HfToGguf(kSandwichNormNames, parts.stem)
                 : HfToGguf(kPreNormNames, parts.stem);
    }
    if (gguf != nullptr) {
      return absl::StrCat("blk.", parts.number, ".", gguf, ".", parts.kind);
    }
  } else if (SplitKind(hf_name, &parts)) {
    gguf = HfToGguf(kGlobalNames, parts.stem);
    if (gguf != nullptr) return absl::StrCat(gguf, ".", parts.kind);
  }
  return absl::NotFoundError(
      absl::StrCat("tensor ", absl::CHexEscape(hf_name.substr(0, 100)),
                   " has no name in GGUF"));
}

}  // namespace evopress::quant
