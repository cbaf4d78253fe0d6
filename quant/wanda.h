// Wanda (Sun et al., arXiv 2306.11695): of each row the weights of the smallest
// |w| times the norm of their input go, sqrt(H[c][c]) with H the Gram of the
// layer's inputs. The others are rounded to float16 or, at a level with a
// width, to the nearest point of their group's grid.
//
// A Gram of zeros says nothing: H = I then, which is magnitude by rows.
#ifndef EVOPRESS_QUANT_WANDA_H_
#define EVOPRESS_QUANT_WANDA_H_

#include <vector>

#include "quant/pruner.h"

namespace evopress::quant {

// The norm of each input, by column; 1 where a Gram of zeros says nothing.
std::vector<float> InputNorms(const LayerContext& layer);

// Thread-safe. Runs on the current TBB arena. Rows share the level's zeros
// evenly, to within one weight.
class WandaCompressor : public Pruner {
 public:
  WandaCompressor() : Pruner("wanda", /*needs_gram=*/true) {}

 private:
  absl::StatusOr<std::vector<CompressedLayer>> Prune(
      const LayerContext& layer,
      absl::Span<const search::LevelName> levels) const override;
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_WANDA_H_
