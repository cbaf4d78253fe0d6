#include "quant/wanda.h"

#include <algorithm>
#include <cmath>
#include <exception>

#include "absl/strings/str_cat.h"
#include "quant/pruned_layer.h"
#include "quant/score_pruning.h"

namespace evopress::quant {

std::vector<float> InputNorms(const LayerContext& layer) {
  std::vector<float> norms = InputPowers(layer);
  // A sum of squares below zero is rounding's work.
  for (float& norm : norms) norm = std::sqrt(std::max(norm, 0.0f));
  return norms;
}

absl::StatusOr<std::vector<CompressedLayer>> WandaCompressor::Compress(
    const LayerContext& layer, absl::Span<const search::LevelName> levels) const
    try {
  if (absl::Status s = CheckPruned(layer, levels); !s.ok()) return s;
  if (absl::Status s = CheckGram(layer, "wanda"); !s.ok()) return s;
  return PruneByScore(layer, levels, InputNorms(layer), Comparison::kRow);
} catch (const std::exception& e) {
  return absl::ResourceExhaustedError(
      absl::StrCat("layer ", layer.name, ": wanda: ", e.what()));
}

absl::StatusOr<LevelCosts> WandaCompressor::Costs(
    const WeightShape& shape, const search::LevelName& level) const {
  return PruneCosts(shape, level);
}

}  // namespace evopress::quant
