// quant/gguf_names.h
// How the tensors of a GGUF file correspond to those of the Hugging Face model
// it was converted from: names, and what the converter did to the values
// (github.com/ggml-org/llama.cpp, convert_hf_to_gguf.py).

#ifndef EVOPRESS_QUANT_GGUF_NAMES_H_
#define EVOPRESS_QUANT_GGUF_NAMES_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace evopress::quant {

enum class GgufArchitecture { kLlama, kQwen2, kQwen3, kGemma3 };

// Unimplemented, listing what there is, for any other general.architecture.
absl::StatusOr<GgufArchitecture> ParseGgufArchitecture(const std::string& name);

// What the converter did, and a reader undoes.
enum class GgufTransform {
  kNone,
  // Rows of each query or key head reordered from [2, half] to [half, 2], for
  // llama.cpp's interleaved rotary embedding.
  kInterleavedQuery,
  kInterleavedKey,
  // 1 added to the weights of a norm.
  kPlusOne,
};

struct HfTensorName {
  std::string name;
  GgufTransform transform = GgufTransform::kNone;
};

// The Hugging Face tensor that GGUF tensor `name` holds. "rope_freqs.weight"
// has no counterpart and keeps its name. Unimplemented, naming the tensor, for
// stacked experts and for tensors unknown to the architecture.
absl::StatusOr<HfTensorName> HfNameOfGguf(GgufArchitecture architecture,
                                          const std::string& name);

// The inverse: the GGUF name of a Hugging Face tensor. NotFound if it has
// none.
absl::StatusOr<std::string> GgufNameOfHf(GgufArchitecture architecture,
                                         const std::string& hf_name);

// Row of the GGUF tensor that holds row `row` of the Hugging Face tensor, for
// the interleaved transforms. REQUIRES: head_dim is even, row >= 0.
inline int64_t InterleavedRow(int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim;
  const int64_t i = row % head_dim;
  const int64_t half = head_dim / 2;
  return head * head_dim + (i % half) * 2 + i / half;
}

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_GGUF_NAMES_H_
