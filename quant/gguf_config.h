// quant/gguf_config.h
// The metadata of a GGUF file in the vocabulary of a Hugging Face config.json.

#ifndef EVOPRESS_QUANT_GGUF_CONFIG_H_
#define EVOPRESS_QUANT_GGUF_CONFIG_H_

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "quant/gguf_names.h"
#include "quant/gguf_reader.h"

namespace evopress::quant {

// The configuration of a model: model_type, hidden_size, num_hidden_layers,
// intermediate_size, num_attention_heads, num_key_value_heads, head_dim,
// rms_norm_eps, rope_theta, rope_scaling (null without), sliding_window,
// layer_types, tie_word_embeddings, vocab_size, max_position_embeddings,
// hidden_act, attention_bias, mlp_bias, and for Gemma hidden_activation,
// query_pre_attn_scalar and rope_local_base_freq.
// A model with a tensor "rope_freqs.weight" (Llama 3.1 and later) has
// rope_scaling {"rope_type": "llama3", "factors_tensor": "rope_freqs.weight"},
// with the usual parameters too where they reproduce the tensor exactly: the
// inverse frequencies are to be divided by those factors.
// DataLoss, naming the key, if a key is missing or senseless.
absl::StatusOr<nlohmann::json> ConfigOfGguf(const GgufReader& reader,
                                            GgufArchitecture architecture);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_GGUF_CONFIG_H_
