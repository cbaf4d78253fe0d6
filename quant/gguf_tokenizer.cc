#include "quant/gguf_tokenizer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace evopress::quant {

absl::StatusOr<GgufTokenizerSource> TokenizerOfGguf(const GgufReader& reader) {
  const GgufMetadata& metadata = reader.metadata();
  const std::string prefix = "tokenizer.ggml.";
  GgufTokenizerSource source;
  source.model = metadata.GetString(prefix + "model").value_or("");
  source.pre = metadata.GetString(prefix + "pre").value_or("");
  if (const auto* tokens = metadata.GetStrings(prefix + "tokens")) {
    source.tokens = *tokens;
  }
  if (const auto* merges = metadata.GetStrings(prefix + "merges")) {
    source.merges = *merges;
  }
  for (const double score : metadata.GetNumbers(prefix + "scores")) {
    source.scores.push_back(static_cast<float>(score));
  }
  for (const int64_t type : metadata.GetIntegers(prefix + "token_type")) {
    source.types.push_back(
        static_cast<int32_t>(std::clamp<int64_t>(type, 0, 100)));
  }
  const auto fits = [&](size_t size) {
    return size == 0 || size == source.tokens.size();
  };
  if (!fits(source.scores.size()) || !fits(source.types.size())) {
    return absl::DataLossError(
        absl::StrCat(reader.files()[0], ": the tokenizer has ",
                     source.tokens.size(), " tokens, ", source.scores.size(),
                     " scores and ", source.types.size(), " types"));
  }
  for (const auto& [key, id] :
       {std::pair{"bos_token_id", &source.bos_id},
        std::pair{"eos_token_id", &source.eos_id},
        std::pair{"eot_token_id", &source.eot_id},
        std::pair{"unknown_token_id", &source.unknown_id},
        std::pair{"padding_token_id", &source.padding_id}}) {
    const std::optional<int64_t> value = metadata.GetInteger(prefix + key);
    if (!value) continue;
    if (*value < 0 || *value >= static_cast<int64_t>(source.tokens.size())) {
      return absl::DataLossError(absl::StrCat(reader.files()[0], ": ", prefix,
                                              key, " ", *value,
                                              " is not a token"));
    }
    *id = *value;
  }
  for (const auto& [key, flag] :
       {std::pair{"add_bos_token", &source.add_bos},
        std::pair{"add_eos_token", &source.add_eos},
        std::pair{"add_space_prefix", &source.add_space_prefix},
        std::pair{"remove_extra_whitespaces",
                  &source.remove_extra_whitespaces}}) {
    if (const std::optional<bool> value = metadata.GetBool(prefix + key)) {
      *flag = *value ? GgufTokenizerSource::Flag::kTrue
                     : GgufTokenizerSource::Flag::kFalse;
    }
  }
  source.chat_template =
      metadata.GetString("tokenizer.chat_template").value_or("");
  return source;
}

}  // namespace evopress::quant
