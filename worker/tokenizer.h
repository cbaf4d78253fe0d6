// Text to token ids and back, with the ids of the Hugging Face tokenizer of
// the model.
//
// A text passes through: repair of invalid UTF-8, added tokens, normalizer,
// added tokens of normalized text, pre-tokenizer, BPE. Known models: BPE of
// tokenizer.json, byte-level BPE ("gpt2") and SentencePiece ("llama") of GGUF.

#ifndef EVOPRESS_WORKER_TOKENIZER_H_
#define EVOPRESS_WORKER_TOKENIZER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "quant/checkpoint.h"

namespace evopress::worker {

struct TokenizerParts;

// Immutable and thread-safe.
class Tokenizer {
 public:
  static constexpr size_t kMaxTextBytes = size_t{256} << 20;

  // Unimplemented, naming it, for a kind of tokenizer or a rule we do not
  // know; InvalidArgument for a malformed source.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Make(
      const quant::TokenizerSource& source);

  // Takes over the parts; see tokenizer_parts.h.
  explicit Tokenizer(TokenizerParts parts);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // The ids of `text`, without the tokens that surround a sequence (see
  // prefix_ids). Any bytes are taken: each ill-formed part of the UTF-8 counts
  // as U+FFFD, as with Python's errors="replace". Special tokens spelled in
  // the text ("<|im_start|>") become their ids if `parse_special` (what the
  // Hugging Face tokenizer does by default), else they are text.
  // InvalidArgument beyond kMaxTextBytes, ResourceExhausted if a rule of the
  // pre-tokenizer takes too many steps.
  absl::StatusOr<std::vector<int32_t>> Encode(const std::string& text,
                                              bool parse_special) const;

  // The bytes of the ids, special tokens as they are spelled; ids outside the
  // vocabulary give nothing. Not every text survives a round trip: normalizers
  // lose information, and a byte without a token is dropped.
  std::string Decode(const std::vector<int32_t>& ids) const;

  // One more than the highest id.
  int vocab_size() const;
  std::optional<int32_t> bos() const;
  std::optional<int32_t> eos() const;

  // What the tokenizer puts around a single sequence by default (Hugging
  // Face: add_special_tokens=True), usually a BOS or nothing.
  const std::vector<int32_t>& prefix_ids() const;
  const std::vector<int32_t>& suffix_ids() const;

 private:
  class Encoder;
  std::unique_ptr<const TokenizerParts> parts_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_TOKENIZER_H_
