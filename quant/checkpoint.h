// quant/checkpoint.h
// A model on disk, whatever its format, seen with Hugging Face names, layouts
// and conventions. Readers of weights, of the configuration and of the
// tokenizer use this interface and need not know GGUF or safetensors.

#ifndef EVOPRESS_QUANT_CHECKPOINT_H_
#define EVOPRESS_QUANT_CHECKPOINT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "nlohmann/json.hpp"

namespace evopress::quant {

// One tensor of a model, under its Hugging Face name.
struct TensorInfo {
  std::string name;            // "model.layers.0.self_attn.q_proj.weight"
  std::vector<int64_t> shape;  // row-major, outermost first: [out, in]
  std::string source_type;     // type at rest: "F32", "BF16", "Q4_1", ...
  int64_t bytes = 0;           // size at rest

  // Product of `shape`; Open() has checked that it does not overflow.
  int64_t elements() const {
    int64_t n = 1;
    for (const int64_t d : shape) n *= d;
    return n;
  }
};

// The text of a Hugging Face tokenizer.json and of the files beside it.
struct HfTokenizerSource {
  std::string tokenizer_json;         // empty if the directory has none
  std::string tokenizer_config_json;  // empty if the directory has none
};

// The tokenizer that GGUF metadata describes (keys "tokenizer.*"). Ids are -1
// where the file says nothing; flags carry whether the file said them.
struct GgufTokenizerSource {
  std::string model;  // "gpt2" (byte-level BPE), "llama" (SentencePiece), ...
  std::string pre;    // name of the pre-tokenizer: "smollm", "llama-bpe", ...
  std::vector<std::string> tokens;
  std::vector<float> scores;        // empty or as long as `tokens`
  std::vector<int32_t> types;       // empty or as long as `tokens`: 1 normal,
                                    // 2 unknown, 3 control, 4 user defined,
                                    // 5 unused, 6 byte
  std::vector<std::string> merges;  // "left right", best first
  int64_t bos_id = -1;
  int64_t eos_id = -1;
  int64_t eot_id = -1;
  int64_t unknown_id = -1;
  int64_t padding_id = -1;
  enum class Flag { kUnsaid, kFalse, kTrue };
  Flag add_bos = Flag::kUnsaid;
  Flag add_eos = Flag::kUnsaid;
  Flag add_space_prefix = Flag::kUnsaid;
  Flag remove_extra_whitespaces = Flag::kUnsaid;
  std::string chat_template;
};

using TokenizerSource = std::variant<HfTokenizerSource, GgufTokenizerSource>;

// Immutable; every method is thread-safe. Files are memory-mapped, so weights
// cost no memory until they are read. References returned live as long as the
// checkpoint.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;

  // Opens a `.gguf` file (the first file of a split model opens all of it), or
  // a Hugging Face directory with config.json and model.safetensors or its
  // index. NotFound if nothing is there; DataLoss, naming file and offset, if
  // a file is malformed; Unimplemented for an architecture, a tensor type or
  // stacked experts we do not know.
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(
      const std::string& path);

  // The configuration in the vocabulary of Hugging Face config.json:
  // model_type (llama, mistral, qwen2, qwen3, gemma3_text, ...), hidden_size,
  // num_hidden_layers, rms_norm_eps, rope_theta, rope_scaling, layer_types ...
  // For GGUF it is made from the metadata.
  virtual const nlohmann::json& config() const = 0;

  // All tensors, ordered by name. A tied output head is absent.
  virtual const std::vector<TensorInfo>& tensors() const = 0;

  // The tensor of that name, or nullptr.
  const TensorInfo* Find(const std::string& name) const;

  // Writes the dequantized tensor in the layout and conventions of Hugging
  // Face (rows of q and k un-permuted, Gemma norms without their +1).
  // NotFound for an unknown name; InvalidArgument unless out.size() equals the
  // tensor's elements; DataLoss, naming tensor and index, if a value is NaN or
  // infinite.
  virtual absl::Status ReadF32(const std::string& name,
                               absl::Span<float> out) const = 0;

  // Every file that makes up the model, configuration and tokenizer included:
  // what a content hash must cover. Absolute or relative as `path` was.
  virtual const std::vector<std::string>& files() const = 0;

  virtual const TokenizerSource& tokenizer() const = 0;

 protected:
  Checkpoint() = default;
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_CHECKPOINT_H_
