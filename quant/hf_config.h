// quant/hf_config.h
// Hugging Face configurations, brought to one form: what older and newer
// versions of transformers write differently, or leave to defaults.

#ifndef EVOPRESS_QUANT_HF_CONFIG_H_
#define EVOPRESS_QUANT_HF_CONFIG_H_

#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace evopress::quant {

// The language model's part of a config.json, with the keys that
// quant/gguf_config.h lists filled in: text_config is lifted out of multimodal
// configurations, rope_parameters become rope_theta, rope_scaling and
// rope_local_base_freq, and absent keys get the defaults of the architecture.
// Other keys are kept. DataLoss if it is not an object or lacks a key that has
// no default.
absl::StatusOr<nlohmann::json> NormalizeHfConfig(const nlohmann::json& config);

// The name of a tensor in a model of language only, without the prefixes that
// multimodal models put before it; empty for tensors of other modalities.
std::string LanguageTensorName(const std::string& name);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_HF_CONFIG_H_
