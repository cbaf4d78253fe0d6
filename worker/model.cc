#include "worker/model.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace evopress::worker {
namespace {

// Reads a tensor that must have exactly this shape.
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

absl::StatusOr<std::vector<float>> ReadNorm(const Model& model,
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

absl::StatusOr<BlockTensors> LoadBlock(const Model& model,
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
  for (int slot = 0; slot < kLinearSlots; ++slot) {
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

absl::StatusOr<Model> LoadModel(const std::string& path, Arithmetic arithmetic,
                                ThreadArena& arena) {
  auto checkpoint = quant::Checkpoint::Open(path);
  if (!checkpoint.ok()) return checkpoint.status();
  Model model;
  model.checkpoint = *std::move(checkpoint);
  model.arithmetic = arithmetic;
  auto arch = MakeArchitecture(
      model.checkpoint->config(), "model.",
      /*tied=*/model.checkpoint->Find("lm_head.weight") == nullptr);
  if (!arch.ok()) return arch.status();
  model.architecture = *std::move(arch);
  const Architecture& a = model.architecture;
  auto table = ReadTensor(*model.checkpoint, a.embedding, {a.vocab, a.hidden});
  if (!table.ok()) return table.status();
  model.embedding = Embedding(arithmetic, *table, a.hidden, a.embedding_scale);
  if (a.head != a.embedding) {
    table = ReadTensor(*model.checkpoint, a.head, {a.vocab, a.hidden});
    if (!table.ok()) return table.status();
  }
  // Packing goes through oneDNN, which must see one OpenMP thread.
  absl::Status status = arena.ForEach(1, [&](int64_t) -> absl::Status {
    auto head = LossHead::Create(arithmetic, *table, a.vocab, a.hidden,
                                 a.final_softcap);
    if (!head.ok()) return head.status();
    model.head = *std::move(head);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  auto final_norm = ReadNorm(model, a.final_norm, a.hidden);
  if (!final_norm.ok()) return final_norm.status();
  model.final_norm = *std::move(final_norm);
  for (const BlockSpec& spec : a.blocks) {
    auto block = LoadBlock(model, spec);
    if (!block.ok()) return block.status();
    model.blocks.push_back(*std::move(block));
  }
  return model;
}

}  // namespace evopress::worker
