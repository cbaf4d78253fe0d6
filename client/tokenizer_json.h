// tokenizer.json and tokenizer_config.json, as `transformers` loads them, out
// of the tokenizer that GGUF metadata describes.
#ifndef EVOPRESS_CLIENT_TOKENIZER_JSON_H_
#define EVOPRESS_CLIENT_TOKENIZER_JSON_H_

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "quant/checkpoint.h"

namespace evopress::client {

// Known are byte-level BPE ("gpt2") with the pre-tokenizers of GPT-2, SmolLM,
// Llama 3 and Qwen 2, and SentencePiece ("llama"), whose merges are derived
// from its scores. Unimplemented, naming the kind, for others.
absl::StatusOr<nlohmann::json> MakeTokenizerJson(
    const quant::GgufTokenizerSource& source);

// Special tokens, chat template, class.
nlohmann::json MakeTokenizerConfig(const quant::GgufTokenizerSource& source);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_TOKENIZER_JSON_H_
