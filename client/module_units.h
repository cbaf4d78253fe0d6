// Attention and MLP modules as units of a search space: what `--drop` makes
// genes of.
//
// A module is what lies below "model.layers.N.self_attn" (attention) or below
// any other name of that depth ("…mlp"). Keeping it costs one of kind
// "modules" and, in model bits, its tensors that are not searched (biases, head
// norms, routers); what its layers cost, they say themselves. The norm before a
// module stays in the model and in its constant cost.
#ifndef EVOPRESS_CLIENT_MODULE_UNITS_H_
#define EVOPRESS_CLIENT_MODULE_UNITS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "quant/checkpoint.h"
#include "search/grouping.h"
#include "search/space.h"

namespace evopress::client {

// The cost kind that AddModules() adds as the space's last.
inline constexpr char kModules[] = "modules";

struct DropRule {
  bool attention = false;
  bool mlp = false;
  bool blocks = false;  // both modules of a block together or not at all

  bool any() const { return attention || mlp || blocks; }
};

// "", "attn", "mlp", "attn,mlp" in any order, or "block".
absl::StatusOr<DropRule> ParseDropRule(const std::string& text);

// Adds the modules after the layers of `space`, which name them. Modules of one
// kind are an exchange group, unless `group` is kNone. InvalidArgument if a
// tied unit spans modules, or a layer lies in none.
absl::Status AddModules(const DropRule& rule, search::GroupRule group,
                        const std::vector<quant::TensorInfo>& tensors,
                        search::SearchSpace& space);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_MODULE_UNITS_H_
