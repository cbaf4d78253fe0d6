// Magnitude pruning: the layer's smallest weights go, whatever their inputs.
// The others are rounded to float16 or, at a level with a width, to the nearest
// point of their group's grid.
#ifndef EVOPRESS_QUANT_MAGNITUDE_H_
#define EVOPRESS_QUANT_MAGNITUDE_H_

#include <vector>

#include "quant/compressor.h"

namespace evopress::quant {

// Thread-safe. Runs on the current TBB arena. Needs no Gram; with one, errors
// are measured in it.
class MagnitudeCompressor : public Compressor {
 public:
  absl::StatusOr<std::vector<CompressedLayer>> Compress(
      const LayerContext& layer,
      absl::Span<const search::LevelName> levels) const override;
  absl::StatusOr<LevelCosts> Costs(
      const WeightShape& shape, const search::LevelName& level) const override;
  bool needs_gram() const override { return false; }
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_MAGNITUDE_H_
