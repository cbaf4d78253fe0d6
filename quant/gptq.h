// GPTQ (Frantar et al., arXiv 2210.17323, Algorithm 1): columns are rounded
// one after the other, and what rounding lost is made good in the columns
// still to come, by the inverse of H, the Gram of the layer's inputs.
//
// Choices where the paper leaves room:
// - A group's grid is fitted when its first column is reached, to weights that
//   carry all compensation so far.
// - `actorder` takes columns by falling diagonal of H, ties by index, with
//   static groups: grids are fitted beforehand to the original weights, so
//   that groups stay runs of neighbouring columns and no index is stored.
// - Inputs that were never active (diagonal 0) get weight 0.
// - `search` weighs a column's squared error by what it costs the layer once
//   later columns have compensated, 1 / V[c][c]^2 (see gram_factor.h).
// - A Gram of zeros says nothing: H = I then, which is round to nearest.
#ifndef EVOPRESS_QUANT_GPTQ_H_
#define EVOPRESS_QUANT_GPTQ_H_

#include <vector>

#include "quant/compressor.h"

namespace evopress::quant {

// Thread-safe. Runs on the current TBB arena. Levels of one call share the
// factorization. InvalidArgument, naming the layer, if the Gram is so far from
// positive semidefinite that damping by its whole mean diagonal does not help;
// CompressedLayer::damping tells what was needed.
class GptqCompressor : public Compressor {
 public:
  absl::StatusOr<std::vector<CompressedLayer>> Compress(
      const LayerContext& layer,
      absl::Span<const search::LevelName> levels) const override;
  absl::StatusOr<LevelCosts> Costs(
      const WeightShape& shape, const search::LevelName& level) const override;
  bool needs_gram() const override { return true; }
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_GPTQ_H_
