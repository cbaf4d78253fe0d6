#include "quant/magnitude.h"

#include "quant/pruned_layer.h"
#include "quant/score_pruning.h"

namespace evopress::quant {

absl::StatusOr<std::vector<CompressedLayer>> MagnitudeCompressor::Prune(
    const LayerContext& layer,
    absl::Span<const search::LevelName> levels) const {
  const std::vector<float> ones(layer.shape.cols, 1.0f);
  return PruneByScore(layer, levels, ones, Comparison::kLayer);
}

}  // namespace evopress::quant
