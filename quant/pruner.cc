#include "quant/pruner.h"

#include <exception>

#include "absl/strings/str_cat.h"
#include "quant/pruned_layer.h"

namespace evopress::quant {

absl::StatusOr<std::vector<CompressedLayer>> Pruner::Compress(
    const LayerContext& layer, absl::Span<const search::LevelName> levels) const
    try {
  if (absl::Status s = CheckPruned(layer, levels); !s.ok()) return s;
  if (needs_gram_) {
    if (absl::Status s = CheckGram(layer, method_); !s.ok()) return s;
  }
  return Prune(layer, levels);
} catch (const std::exception& e) {
  return absl::ResourceExhaustedError(
      absl::StrCat("layer ", layer.name, ": ", method_, ": ", e.what()));
}

absl::StatusOr<LevelCosts> Pruner::Costs(const WeightShape& shape,
                                         const search::LevelName& level) const {
  return PruneCosts(shape, level);
}

}  // namespace evopress::quant
