// What a tokenizer is made of, and the two sources it is read from.

#ifndef EVOPRESS_WORKER_TOKENIZER_PARTS_H_
#define EVOPRESS_WORKER_TOKENIZER_PARTS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "quant/checkpoint.h"
#include "worker/bpe.h"
#include "worker/pretokenizer.h"
#include "worker/tokenizer_added_tokens.h"
#include "worker/tokenizer_normalizer.h"

namespace evopress::worker {

struct TokenizerParts {
  AddedTokenMatcher raw_tokens;  // found in the text as given
  NormalizerSteps normalizer;
  AddedTokenMatcher normalized_tokens;  // found in the normalized text
  PretokenizerSteps pretokenizer;
  std::unique_ptr<BpeModel> bpe;
  std::vector<std::string> bytes_of;  // by id, for Decode()
  bool strip_leading_space = false;   // Decode() drops the space put in front
  std::optional<int32_t> bos;
  std::optional<int32_t> eos;
  std::vector<int32_t> prefix_ids;
  std::vector<int32_t> suffix_ids;
};

absl::StatusOr<TokenizerParts> ReadGgufTokenizer(
    const quant::GgufTokenizerSource& source);
absl::StatusOr<TokenizerParts> ReadHfTokenizer(
    const quant::HfTokenizerSource& source);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_TOKENIZER_PARTS_H_
