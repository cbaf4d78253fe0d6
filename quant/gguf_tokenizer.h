// quant/gguf_tokenizer.h
// The tokenizer that the metadata of a GGUF file describes.

#ifndef EVOPRESS_QUANT_GGUF_TOKENIZER_H_
#define EVOPRESS_QUANT_GGUF_TOKENIZER_H_

#include "absl/status/statusor.h"
#include "quant/checkpoint.h"
#include "quant/gguf_reader.h"

namespace evopress::quant {

// The tokenizer of a GGUF file. DataLoss if its tables differ in length or an
// id is not in the vocabulary.
absl::StatusOr<GgufTokenizerSource> TokenizerOfGguf(const GgufReader& reader);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_GGUF_TOKENIZER_H_
