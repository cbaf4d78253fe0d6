// Weight reformation by ADMM ("Search for Efficient Large Language Models",
// arXiv 2409.17372): the mask is Wanda's (wanda.h), and the weights that stay
// are refitted to the layer's outputs,
//
//   min over W' of ||(M . W') X - W X||^2,  M the mask, H = X X^T the Gram.
//
// Inputs are scaled to the norm 1, W <- W D and H <- D^-1 H D^-1 with D =
// diag(H)^1/2, and kAdmmDamping is added to H's diagonal. Then, from Z = M . W
// and U = 0, kAdmmSteps times
//
//   V = (W H + rho (Z - U)) (H + rho)^-1,  Z = M . (V + U),  U = U + V - Z.
//
// What comes out is Z D^-1, rounded to float16 or, at a level with a width, to
// its group's grid. A panel of rows that this would bring further off on H than
// its masked weights, without damping, keeps those: the error is never above
// that of masking.
//
// The paper refits layers whose structure is chosen, by whole rows and columns;
// here masks are those of all pruners, and any layer at such a level is
// refitted when levels are built.
#ifndef EVOPRESS_QUANT_ADMM_H_
#define EVOPRESS_QUANT_ADMM_H_

#include <vector>

#include "quant/pruner.h"

namespace evopress::quant {

inline constexpr double kAdmmDamping = 0.1;
inline constexpr double kAdmmRho = 10;
inline constexpr int kAdmmSteps = 20;

// Thread-safe. Runs on the current TBB arena. Takes some kAdmmSteps times as
// long a level as sparsegpt. Memory while computing: 20 n^2 bytes.
class AdmmCompressor : public Pruner {
 public:
  AdmmCompressor() : Pruner("admm", /*needs_gram=*/true) {}

 private:
  absl::StatusOr<std::vector<CompressedLayer>> Prune(
      const LayerContext& layer,
      absl::Span<const search::LevelName> levels) const override;
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_ADMM_H_
