// quant/hf_checkpoint.h
// A Hugging Face model directory as a Checkpoint.

#ifndef EVOPRESS_QUANT_HF_CHECKPOINT_H_
#define EVOPRESS_QUANT_HF_CHECKPOINT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "quant/checkpoint.h"
#include "quant/safetensors_reader.h"

namespace evopress::quant {

class HfCheckpoint : public Checkpoint {
 public:
  // Same errors as Checkpoint::Open.
  static absl::StatusOr<std::unique_ptr<HfCheckpoint>> Open(
      const std::string& directory);

  const nlohmann::json& config() const override { return config_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  absl::Status ReadF32(const std::string& name,
                       absl::Span<float> out) const override;
  const std::vector<std::string>& files() const override { return files_; }
  const TokenizerSource& tokenizer() const override { return tokenizer_; }

 private:
  HfCheckpoint() = default;
  absl::Status ReadConfig(const std::string& directory);
  absl::Status AddSideFiles(const std::string& directory);
  absl::Status AddTensors();

  nlohmann::json config_;
  std::unique_ptr<SafetensorsReader> reader_;
  std::vector<TensorInfo> tensors_;
  absl::flat_hash_map<std::string, const SafetensorsTensor*> sources_;
  std::vector<std::string> files_;
  TokenizerSource tokenizer_;
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_HF_CHECKPOINT_H_
