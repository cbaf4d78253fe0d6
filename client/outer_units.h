// The token embedding and the output head as units of a search space, beside
// the linear layers of the blocks. Where a model uses one matrix for both
// (tied: it has no tensor lm_head.weight), that is one unit, whichever of the
// two was asked for, and its level acts on both uses.
#ifndef EVOPRESS_CLIENT_OUTER_UNITS_H_
#define EVOPRESS_CLIENT_OUTER_UNITS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "quant/checkpoint.h"
#include "search/level_name.h"

namespace evopress::client {

inline constexpr char kEmbeddingLayer[] = "model.embed_tokens";
inline constexpr char kHeadLayer[] = "lm_head";

// Which of them are units.
struct OuterRule {
  bool embedding = false;
  bool head = false;

  bool any() const { return embedding || head; }
};

// "embed", "head" or "embed,head"; "" for none.
absl::StatusOr<OuterRule> ParseOuterRule(const std::string& text);

// The weights that `rule` makes units, by layer name. NotFound if the model
// lacks one.
absl::StatusOr<std::vector<std::string>> OuterLayers(
    const OuterRule& rule, const std::vector<quant::TensorInfo>& tensors);

// The menu of `layer` where the blocks' layers have `menu`, in its order and
// without repetitions. A head takes the same levels. An embedding of its own
// has no inputs whose statistics a quantizer could use: a level of gptq becomes
// that of rtn with the same bits, groups and scale search, and a pruner that
// needs statistics is InvalidArgument.
absl::StatusOr<std::vector<search::LevelName>> OuterMenu(
    const std::string& layer, bool tied,
    const std::vector<search::LevelName>& menu);

// True if the tensors have no head of their own.
bool IsTied(const std::vector<quant::TensorInfo>& tensors);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_OUTER_UNITS_H_
