// SparseGPT (Frantar and Alistarh, arXiv 2301.00774, Algorithm 1): columns are
// pruned one after the other, and what a pruned weight did is made good in the
// columns still to come, by the inverse of H, the Gram of the layer's inputs.
// The factorization and the order of columns are GPTQ's (gram_factor.h).
//
// Choices where the paper leaves room:
// - Masks are chosen for a batch of up to 128 columns at once, from weights
//   that carry all compensation so far: the smallest w^2 / V[c][c]^2 of each
//   row go. Rows, and batches within a row, share the zeros evenly, such that
//   the shares sum to the exact number. The paper compares across all rows; by
//   rows, as Wanda does, the model loses less (docs/decisions/0012).
// - A pattern ("2of4") is chosen group by group, when its first column is
//   reached.
// - Kept weights are rounded on the way, to float16 or, at a level with a
//   width, to their group's grid; what rounding loses is compensated like what
//   pruning loses. A group's grid is fitted when its first column is reached,
//   with what is known to be pruned at 0.
// - Inputs that were never active (diagonal 0) get weight 0 and go first.
// - A Gram of zeros says nothing: H = I then, which is magnitude by rows.
#ifndef EVOPRESS_QUANT_SPARSEGPT_H_
#define EVOPRESS_QUANT_SPARSEGPT_H_

#include <vector>

#include "quant/pruner.h"

namespace evopress::quant {

// Thread-safe. Runs on the current TBB arena. Levels of one call share the
// factorization. FailedPrecondition without a Gram; InvalidArgument, naming the
// layer, if the Gram is so far from positive semidefinite that damping by its
// whole mean diagonal does not help; CompressedLayer::damping tells what was
// needed.
class SparseGptCompressor : public Pruner {
 public:
  SparseGptCompressor() : Pruner("sparsegpt", /*needs_gram=*/true) {}

 private:
  absl::StatusOr<std::vector<CompressedLayer>> Prune(
      const LayerContext& layer,
      absl::Span<const search::LevelName> levels) const override;
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_SPARSEGPT_H_
