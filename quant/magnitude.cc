#include "quant/magnitude.h"

#include <exception>

#include "absl/strings/str_cat.h"
#include "quant/pruned_layer.h"
#include "quant/score_pruning.h"

namespace evopress::quant {

absl::StatusOr<std::vector<CompressedLayer>> MagnitudeCompressor::Compress(
    const LayerContext& layer, absl::Span<const search::LevelName> levels) const
    try {
  if (absl::Status s = CheckPruned(layer, levels); !s.ok()) return s;
  const std::vector<float> ones(layer.shape.cols, 1.0f);
  return PruneByScore(layer, levels, ones, Comparison::kLayer);
} catch (const std::exception& e) {
  return absl::ResourceExhaustedError(
      absl::StrCat("layer ", layer.name, ": magnitude: ", e.what()));
}

absl::StatusOr<LevelCosts> MagnitudeCompressor::Costs(
    const WeightShape& shape, const search::LevelName& level) const {
  return PruneCosts(shape, level);
}

}  // namespace evopress::quant
