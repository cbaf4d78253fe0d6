#include "worker/torch/block.h"

#include <cmath>
#include <optional>

namespace evopress::worker {
namespace {

at::Tensor Upload(const std::vector<float>& values, const TorchDevice& device) {
  if (values.empty()) return {};
  return at::tensor(values, at::kFloat).to(device.device);
}

}  // namespace

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight,
                   double epsilon) {
  const at::Tensor mean_square = x.square().mean(-1, /*keepdim=*/true);
  return x * (mean_square + epsilon).rsqrt() * weight;
}

TorchBlocks::TorchBlocks(const ModelTensors& model, const TorchDevice& device)
    : model_(model), device_(device) {
  for (const BlockTensors& from : model.blocks) {
    Tensors& to = blocks_.emplace_back();
    to.attention_norm = Upload(from.attention_norm, device);
    to.query_norm = Upload(from.query_norm, device);
    to.key_norm = Upload(from.key_norm, device);
    to.post_attention_norm = Upload(from.post_attention_norm, device);
    to.mlp_norm = Upload(from.mlp_norm, device);
    to.post_mlp_norm = Upload(from.post_mlp_norm, device);
    for (const std::vector<float>& bias : from.bias) {
      to.bias.push_back(Upload(bias, device));
    }
    if (!from.router.empty()) {
      to.router =
          Upload(from.router, device).reshape({-1, model.architecture.hidden});
    }
  }
}

void TorchBlocks::Reserve(int64_t tokens) {
  if (tokens <= positions_) return;
  positions_ = tokens;
  rotations_.clear();
  for (const RopeSpec& spec : model_.architecture.ropes) {
    const std::vector<double> frequencies = RopeFrequencies(spec);
    const auto half = static_cast<int64_t>(frequencies.size());
    std::vector<float> cos(tokens * half);
    std::vector<float> sin(tokens * half);
    for (int64_t p = 0; p < tokens; ++p) {
      for (int64_t i = 0; i < half; ++i) {
        const double angle = static_cast<double>(p) * frequencies[i];
        cos[p * half + i] = std::cos(angle) * spec.attention_factor;
        sin[p * half + i] = std::sin(angle) * spec.attention_factor;
      }
    }
    rotations_.push_back({Upload(cos, device_).reshape({tokens, half}),
                          Upload(sin, device_).reshape({tokens, half})});
  }
}

at::Tensor TorchBlocks::Linear(const Tensors& tensors, int slot,
                               const std::vector<at::Tensor>& weights,
                               const at::Tensor& input) const {
  at::Tensor out = at::linear(input, weights[slot]).to(at::kFloat);
  return tensors.bias[slot].defined() ? out + tensors.bias[slot] : out;
}

// x: tokens x heads x head_dim.
at::Tensor TorchBlocks::Rotate(const BlockSpec& spec,
                               const at::Tensor& x) const {
  if (spec.rope < 0) return x;
  const Rotation& rotation = rotations_[spec.rope];
  const int64_t half = rotation.cos.size(1);
  const at::Tensor cos = rotation.cos.narrow(0, 0, x.size(0)).unsqueeze(1);
  const at::Tensor sin = rotation.sin.narrow(0, 0, x.size(0)).unsqueeze(1);
  const at::Tensor a = x.narrow(2, 0, half);
  const at::Tensor b = x.narrow(2, half, half);
  return at::cat({a * cos - b * sin, b * cos + a * sin,
                  x.narrow(2, 2 * half, x.size(2) - 2 * half)},
                 2);
}

at::Tensor TorchBlocks::Attend(const BlockSpec& spec, const Tensors& tensors,
                               const at::Tensor& input,
                               const std::vector<at::Tensor>& weights) const {
  const Architecture& a = model_.architecture;
  const AttentionShape& shape = a.attention;
  const int64_t tokens = input.size(0);
  const auto heads_of = [&](LinearSlot slot, int64_t heads) {
    return Linear(tensors, slot, weights, input)
        .reshape({tokens, heads, shape.head_dim});
  };
  at::Tensor query = heads_of(kQuery, shape.heads);
  at::Tensor key = heads_of(kKey, shape.kv_heads);
  at::Tensor value = heads_of(kValue, shape.kv_heads);
  if (tensors.query_norm.defined()) {
    query = RmsNorm(query, tensors.query_norm, a.norm_epsilon);
  }
  if (tensors.key_norm.defined()) {
    key = RmsNorm(key, tensors.key_norm, a.norm_epsilon);
  }
  // 1 x heads x tokens x head_dim, keys and values repeated for their queries.
  const auto arrange = [&](const at::Tensor& x) {
    at::Tensor out = x.to(device_.type);
    if (x.size(1) != shape.heads) {
      out = out.repeat_interleave(shape.heads / x.size(1), 1);
    }
    return out.transpose(0, 1).unsqueeze(0).contiguous();
  };
  std::optional<at::Tensor> mask;
  if (spec.window > 0 && spec.window < tokens) {
    const at::Tensor position = at::arange(tokens, device_.Options(at::kLong));
    const at::Tensor back = position.unsqueeze(1) - position.unsqueeze(0);
    mask = back.ge(0).logical_and(back.lt(spec.window));
  }
  return at::scaled_dot_product_attention(
             arrange(Rotate(spec, query)), arrange(Rotate(spec, key)),
             arrange(value), mask, /*dropout_p=*/0.0,
             /*is_causal=*/!mask.has_value(), shape.scale)
      .squeeze(0)
      .transpose(0, 1)
      .reshape({tokens, shape.heads * shape.head_dim});
}

at::Tensor TorchBlocks::Run(int block, const at::Tensor& hidden,
                            const TorchBlockWeights& weights,
                            const SiteObserver& observer) const {
  const Architecture& a = model_.architecture;
  const BlockSpec& spec = a.blocks[block];
  const Tensors& tensors = blocks_[block];
  const std::vector<at::Tensor>& linears = weights.linears;
  const auto observe = [&](int site, const at::Tensor& input) {
    if (observer) observer(site, input);
  };
  const auto norm = [&](const at::Tensor& x, const at::Tensor& weight) {
    return weight.defined() ? RmsNorm(x, weight, a.norm_epsilon) : x;
  };
  at::Tensor out = hidden;
  if (weights.attention) {
    at::Tensor input = norm(out, tensors.attention_norm).to(device_.type);
    observe(kAttentionInput, input);
    input = Attend(spec, tensors, input, linears);
    observe(kOutputInput, input);
    out = out + norm(Linear(tensors, kOutput, linears, input),
                     tensors.post_attention_norm);
  }
  if (weights.mlp) {
    const at::Tensor input = norm(out, tensors.mlp_norm);
    const at::Tensor delta =
        spec.experts > 0
            ? Experts(spec, tensors, input, linears, observer)
            : Gated(tensors, 0, input.to(device_.type), linears, observer);
    out = out + norm(delta, tensors.post_mlp_norm);
  }
  return out;
}

at::Tensor TorchBlocks::Gated(const Tensors& tensors, int expert,
                              const at::Tensor& input,
                              const std::vector<at::Tensor>& weights,
                              const SiteObserver& observer) const {
  if (observer) observer(ExpertSite(expert, kMlpInput), input);
  const at::Tensor gate =
      Linear(tensors, ExpertSlot(expert, kGate), weights, input);
  const at::Tensor up =
      Linear(tensors, ExpertSlot(expert, kUp), weights, input);
  const at::Tensor active = model_.architecture.activation == Activation::kSilu
                                ? at::silu(gate)
                                : at::gelu(gate, "tanh");
  const at::Tensor inner = (active * up).to(device_.type);
  if (observer) observer(ExpertSite(expert, kDownInput), inner);
  return Linear(tensors, ExpertSlot(expert, kDown), weights, inner);
}

// Router and softmax in float32: which expert a token goes to must not hang on
// rounding.
at::Tensor TorchBlocks::Experts(const BlockSpec& spec, const Tensors& tensors,
                                const at::Tensor& input,
                                const std::vector<at::Tensor>& weights,
                                const SiteObserver& observer) const {
  const at::Tensor p = at::softmax(at::linear(input, tensors.router), 1);
  auto [shares, experts] = at::topk(p, spec.experts_per_token, 1);
  if (spec.normalize_experts) shares = shares / shares.sum(1, /*keepdim=*/true);
  const at::Tensor rounded = input.to(device_.type);
  at::Tensor sum = at::zeros_like(input);
  for (int e = 0; e < spec.experts; ++e) {
    // A token goes to an expert once at most.
    const at::Tensor share = (experts.eq(e) * shares).sum(1);
    const at::Tensor rows = experts.eq(e).any(1).nonzero().squeeze(1);
    if (rows.numel() == 0) continue;
    const at::Tensor output =
        Gated(tensors, e, rounded.index_select(0, rows), weights, observer);
    sum = sum.index_add(0, rows,
                        output * share.index_select(0, rows).unsqueeze(1));
  }
  return sum;
}

}  // namespace evopress::worker
