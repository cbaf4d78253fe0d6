#include "worker/model_tensors.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace evopress::worker {
namespace {

absl::StatusOr<std::vector<float>> ReadNorm(const ModelTensors& model,
                                            const std::string& name,
                                            int64_t size) {
  if (name.empty()) return std::vector<float>();
  auto norm = ReadTensor(*model.checkpoint, name, {size});
  if (!norm.ok()) return norm;
  if (model.architecture.norm_plus_one) {
    for (float& w : *norm) w += 1;
  }
  return norm;
}

absl::Status CheckLinear(const quant::Checkpoint& checkpoint,
                         const LinearSpec& linear) {
  const std::string name = linear.name + ".weight";
  const quant::TensorInfo* const info = checkpoint.Find(name);
  if (info == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("the model has no tensor '", name, "'"));
  }
  if (info->shape != std::vector<int64_t>{linear.rows, linear.cols}) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor '", name, "' is [", absl::StrJoin(info->shape, ", "),
        "], the configuration asks for [", linear.rows, ", ", linear.cols,
        "]"));
  }
  return absl::OkStatus();
}

absl::StatusOr<BlockTensors> LoadBlock(const ModelTensors& model,
                                       const BlockSpec& spec) {
  const Architecture& arch = model.architecture;
  BlockTensors block;
  const std::pair<std::vector<float>*, std::pair<const std::string*, int64_t>>
      norms[] = {
          {&block.attention_norm, {&spec.attention_norm, arch.hidden}},
          {&block.query_norm, {&spec.query_norm, arch.attention.head_dim}},
          {&block.key_norm, {&spec.key_norm, arch.attention.head_dim}},
          {&block.post_attention_norm,
           {&spec.post_attention_norm, arch.hidden}},
          {&block.mlp_norm, {&spec.mlp_norm, arch.hidden}},
          {&block.post_mlp_norm, {&spec.post_mlp_norm, arch.hidden}},
      };
  for (const auto& [out, what] : norms) {
    auto norm = ReadNorm(model, *what.first, what.second);
    if (!norm.ok()) return norm.status();
    *out = *std::move(norm);
  }
  if (spec.experts > 0) {
    auto router =
        ReadTensor(*model.checkpoint, spec.router, {spec.experts, arch.hidden});
    if (!router.ok()) return router.status();
    block.router = *std::move(router);
  }
  block.bias.resize(spec.linears.size());
  for (size_t slot = 0; slot < spec.linears.size(); ++slot) {
    const LinearSpec& linear = spec.linears[slot];
    if (absl::Status s = CheckLinear(*model.checkpoint, linear); !s.ok()) {
      return s;
    }
    // Some files lack biases that the configuration's defaults announce, and
    // others have them unannounced: the tensors decide.
    const std::string name = linear.name + ".bias";
    if (model.checkpoint->Find(name) == nullptr) continue;
    auto bias = ReadTensor(*model.checkpoint, name, {linear.rows});
    if (!bias.ok()) return bias.status();
    block.bias[slot] = *std::move(bias);
  }
  return block;
}

}  // namespace

absl::StatusOr<std::vector<float>> ReadTensor(
    const quant::Checkpoint& checkpoint, const std::string& name,
    const std::vector<int64_t>& shape) {
  const quant::TensorInfo* const info = checkpoint.Find(name);
  if (info == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("the model has no tensor '", name, "'"));
  }
  if (info->shape != shape) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor '", name, "' is [", absl::StrJoin(info->shape, ", "),
        "], the configuration asks for [", absl::StrJoin(shape, ", "), "]"));
  }
  std::vector<float> values(info->elements());
  if (absl::Status s = checkpoint.ReadF32(
          name, absl::Span<float>(values.data(), values.size()));
      !s.ok()) {
    return s;
  }
  return values;
}

absl::StatusOr<ModelTensors> LoadTensors(const std::string& path) {
  auto checkpoint = quant::Checkpoint::Open(path);
  if (!checkpoint.ok()) return checkpoint.status();
  ModelTensors model;
  model.checkpoint = *std::move(checkpoint);
  auto arch = MakeArchitecture(
      model.checkpoint->config(), "model.",
      /*tied=*/model.checkpoint->Find("lm_head.weight") == nullptr);
  if (!arch.ok()) return arch.status();
  model.architecture = *std::move(arch);
  auto final_norm =
      ReadNorm(model, model.architecture.final_norm, model.architecture.hidden);
  if (!final_norm.ok()) return final_norm.status();
  model.final_norm = *std::move(final_norm);
  for (const BlockSpec& spec : model.architecture.blocks) {
    auto block = LoadBlock(model, spec);
    if (!block.ok()) return block.status();
    model.blocks.push_back(*std::move(block));
  }
  return model;
}

}  // namespace evopress::worker
