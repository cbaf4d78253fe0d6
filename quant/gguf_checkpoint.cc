#include "quant/gguf_checkpoint.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "quant/dequantize.h"
#include "quant/finite_check.h"
#include "quant/gguf_config.h"
#include "quant/gguf_tokenizer.h"

namespace evopress::quant {
namespace {

bool IsInterleaved(GgufTransform transform) {
  return transform == GgufTransform::kInterleavedQuery ||
         transform == GgufTransform::kInterleavedKey;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GgufCheckpoint>> GgufCheckpoint::Open(
    const std::string& path) {
  std::unique_ptr<GgufCheckpoint> checkpoint(new GgufCheckpoint);
  absl::StatusOr<std::unique_ptr<GgufReader>> reader = GgufReader::Open(path);
  if (!reader.ok()) return reader.status();
  checkpoint->reader_ = *std::move(reader);

  const absl::StatusOr<GgufArchitecture> architecture =
      ParseGgufArchitecture(checkpoint->reader_->metadata()
                                .GetString("general.architecture")
                                .value_or(""));
  if (!architecture.ok()) {
    return absl::UnimplementedError(
        absl::StrCat(path, ": ", architecture.status().message()));
  }
  checkpoint->architecture_ = *architecture;
  absl::StatusOr<nlohmann::json> config =
      ConfigOfGguf(*checkpoint->reader_, *architecture);
  if (!config.ok()) return config.status();
  checkpoint->config_ = *std::move(config);
  checkpoint->head_dim_ = checkpoint->config_["head_dim"].get<int64_t>();
  absl::StatusOr<GgufTokenizerSource> tokenizer =
      TokenizerOfGguf(*checkpoint->reader_);
  if (!tokenizer.ok()) return tokenizer.status();
  checkpoint->tokenizer_ = *std::move(tokenizer);
  if (absl::Status s = checkpoint->AddTensors(); !s.ok()) return s;
  return checkpoint;
}

// The rows of an interleaved tensor must be whole heads, of the number that
// the configuration says.
absl::Status GgufCheckpoint::CheckHeads(const GgufTensor& tensor,
                                        int64_t heads) const {
  const int64_t rows = tensor.dims.back();
  if (tensor.dims.size() <= 2 && rows == heads * head_dim_) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      absl::StrCat(reader_->files()[static_cast<size_t>(tensor.file)],
                   ": tensor ", tensor.name, " has ", rows, " rows, not ",
                   heads, " heads of ", head_dim_));
}

absl::Status GgufCheckpoint::AddTensors() {
  for (const GgufTensor& tensor : reader_->tensors()) {
    absl::StatusOr<HfTensorName> hf = HfNameOfGguf(architecture_, tensor.name);
    if (!hf.ok()) {
      return absl::Status(
          hf.status().code(),
          absl::StrCat(reader_->files()[static_cast<size_t>(tensor.file)], ": ",
                       hf.status().message()));
    }
    if (IsInterleaved(hf->transform)) {
      const char* heads = hf->transform == GgufTransform::kInterleavedQuery
                              ? "num_attention_heads"
                              : "num_key_value_heads";
      if (absl::Status s = CheckHeads(tensor, config_[heads].get<int64_t>());
          !s.ok()) {
        return s;
      }
    }
    TensorInfo info;
    info.name = hf->name;
    info.shape.assign(tensor.dims.rbegin(), tensor.dims.rend());
    info.source_type = tensor.traits->name;
    info.bytes = static_cast<int64_t>(tensor.bytes.size());
    tensors_.push_back(std::move(info));
    sources_.emplace(hf->name, Source{&tensor, hf->transform});
  }
  std::sort(
      tensors_.begin(), tensors_.end(),
      [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  return absl::OkStatus();
}

absl::Status GgufCheckpoint::ReadF32(const std::string& name,
                                     absl::Span<float> out) const {
  const auto found = sources_.find(name);
  if (found == sources_.end()) {
    return absl::NotFoundError(
        absl::StrCat("no tensor ", absl::CHexEscape(name.substr(0, 200))));
  }
  const auto& [tensor, transform] = found->second;
  if (static_cast<int64_t>(out.size()) != tensor->elements()) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", name, " has ", tensor->elements(),
                     " values, room is for ", out.size()));
  }
  if (!IsInterleaved(transform)) {
    const absl::Status status =
        Dequantize(tensor->traits->type, tensor->bytes, out);
    if (!status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat(name, ": ", status.message()));
    }
  } else {
    const DequantizeBlocks dequantize = FindDequantizer(tensor->traits->type);
    // A bias is a column: its rows have one value, which only types without
    // blocks can store apart.
    const int64_t columns = tensor->dims.size() == 1 ? 1 : tensor->dims[0];
    if (dequantize == nullptr ||
        columns % tensor->traits->block_elements != 0) {
      return absl::UnimplementedError(
          absl::StrCat("cannot reorder the rows of tensor ", name, " of type ",
                       tensor->traits->name));
    }
    const int64_t blocks = columns / tensor->traits->block_elements;
    const int64_t row_bytes = blocks * tensor->traits->block_bytes;
    for (int64_t row = 0; row < tensor->dims.back(); ++row) {
      dequantize(
          tensor->bytes.data() + InterleavedRow(row, head_dim_) * row_bytes,
          blocks, out.data() + row * columns);
    }
  }
  if (transform == GgufTransform::kPlusOne) {
    for (float& value : out) value -= 1.0f;
  }
  return CheckFinite(name, out);
}

}  // namespace evopress::quant
