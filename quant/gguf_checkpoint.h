// quant/gguf_checkpoint.h
// A GGUF model as a Checkpoint.

#ifndef EVOPRESS_QUANT_GGUF_CHECKPOINT_H_
#define EVOPRESS_QUANT_GGUF_CHECKPOINT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "quant/checkpoint.h"
#include "quant/gguf_names.h"
#include "quant/gguf_reader.h"

namespace evopress::quant {

class GgufCheckpoint : public Checkpoint {
 public:
  // Same errors as Checkpoint::Open.
  static absl::StatusOr<std::unique_ptr<GgufCheckpoint>> Open(
      const std::string& path);

  const nlohmann::json& config() const override { return config_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  absl::Status ReadF32(const std::string& name,
                       absl::Span<float> out) const override;
  const std::vector<std::string>& files() const override {
    return reader_->files();
  }
  const TokenizerSource& tokenizer() const override { return tokenizer_; }

  // The file as it is, for exporters and inspection.
  const GgufReader& reader() const { return *reader_; }
  GgufArchitecture architecture() const { return architecture_; }

 private:
  struct Source {
    const GgufTensor* tensor;
    GgufTransform transform;
  };

  GgufCheckpoint() = default;
  absl::Status AddTensors();
  absl::Status CheckHeads(const GgufTensor& tensor, int64_t heads) const;

  std::unique_ptr<GgufReader> reader_;
  GgufArchitecture architecture_ = GgufArchitecture::kLlama;
  int64_t head_dim_ = 0;
  nlohmann::json config_;
  std::vector<TensorInfo> tensors_;
  absl::flat_hash_map<std::string, Source> sources_;  // by HF name
  TokenizerSource tokenizer_;
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_GGUF_CHECKPOINT_H_
