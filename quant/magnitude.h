// Magnitude pruning: the layer's smallest weights go, whatever their inputs.
// The others are rounded to float16 or, at a level with a width, to the nearest
// point of their group's grid.
#ifndef EVOPRESS_QUANT_MAGNITUDE_H_
#define EVOPRESS_QUANT_MAGNITUDE_H_

#include <vector>

#include "quant/pruner.h"

namespace evopress::quant {

// Thread-safe. Runs on the current TBB arena. Needs no Gram; with one, errors
// are measured in it.
class MagnitudeCompressor : public Pruner {
 public:
  MagnitudeCompressor() : Pruner("magnitude", /*needs_gram=*/false) {}

 private:
  absl::StatusOr<std::vector<CompressedLayer>> Prune(
      const LayerContext& layer,
      absl::Span<const search::LevelName> levels) const override;
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_MAGNITUDE_H_
