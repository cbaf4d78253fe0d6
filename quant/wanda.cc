#include "quant/wanda.h"

#include <algorithm>
#include <cmath>

#include "quant/pruned_layer.h"
#include "quant/score_pruning.h"

namespace evopress::quant {

std::vector<float> InputNorms(const LayerContext& layer) {
  std::vector<float> norms = InputPowers(layer);
  // A sum of squares below zero is rounding's work.
  for (float& norm : norms) norm = std::sqrt(std::max(norm, 0.0f));
  return norms;
}

absl::StatusOr<std::vector<CompressedLayer>> WandaCompressor::Prune(
    const LayerContext& layer,
    absl::Span<const search::LevelName> levels) const {
  return PruneByScore(layer, levels, InputNorms(layer), Comparison::kRow);
}

}  // namespace evopress::quant
