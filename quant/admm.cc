// With A = (H + rho)^-1, where H has its damping, A H = 1 - rho A. So a ridge
// step is V = W + rho (Z - U - W) A: one product with a fixed matrix.

#include "quant/admm.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

// Parallelism is ours; threads inside a product would change its bits.
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>

#include "absl/strings/str_cat.h"
#include "quant/gram_error.h"
#include "quant/gram_factor.h"
#include "quant/pruned_layer.h"
#include "quant/score_pruning.h"
#include "quant/wanda.h"

namespace evopress::quant {
namespace {

// Inner dimensions of products: Eigen splits longer ones by the sizes of the
// CPU's caches, which would make the bits depend on the machine.
constexpr int64_t kBlock = 128;

using RowMatrix =
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// What the levels of a layer share.
struct Ridge {
  std::vector<float> norms;  // D; 1 for inputs that were never active
  RowMatrix solve;           // rho A
};

// D^-1 H D^-1; inputs that were never active stay without power.
Gram Normalized(const Gram& gram, const std::vector<float>& norms) {
  Gram scaled;
  scaled.n = gram.n;
  scaled.values.resize(gram.values.size());
  tbb::parallel_for(int64_t{0}, gram.n, [&](int64_t r) {
    for (int64_t c = 0; c < gram.n; ++c) {
      scaled.values[r * gram.n + c] =
          gram.values[r * gram.n + c] / (norms[r] * norms[c]);
    }
  });
  return scaled;
}

absl::StatusOr<Ridge> MakeRidge(const LayerContext& layer, const Gram& gram) {
  Ridge ridge;
  ridge.norms = InputNorms(layer);
  for (float& norm : ridge.norms) norm = norm > 0 ? norm : 1.0f;
  const absl::StatusOr<GramFactor> factor =
      FactorInverse(Normalized(gram, ridge.norms), kAdmmDamping + kAdmmRho);
  if (!factor.ok()) {
    return absl::Status(
        factor.status().code(),
        absl::StrCat("layer ", layer.name, ": ", factor.status().message()));
  }
  const int64_t n = gram.n;
  const Eigen::Map<const RowMatrix> v(factor->v.data(), n, n);
  ridge.solve.resize(n, n);
  tbb::parallel_for(int64_t{0}, (n + kBlock - 1) / kBlock, [&](int64_t block) {
    const int64_t row = block * kBlock;
    auto rows = ridge.solve.middleRows(row, std::min(kBlock, n - row));
    rows.setZero();
    for (int64_t k = 0; k < n; k += kBlock) {
      const int64_t size = std::min(kBlock, n - k);
      rows.noalias() += static_cast<float>(kAdmmRho) *
                        v.block(row, k, rows.rows(), size) *
                        v.middleCols(k, size).transpose();
    }
  });
  return ridge;
}

// One panel: columns x rows, as Column() has it.
class PanelRun {
 public:
  PanelRun(const Ridge& ridge, const Gram& gram, PrunedLayer& layer,
           int64_t panel)
      : ridge_(ridge), gram_(gram), layer_(layer), panel_(panel) {}

  void Run() {
    const int64_t n = gram_.n;
    const Eigen::Map<const Eigen::VectorXf> norms(ridge_.norms.data(), n);
    Eigen::Map<RowMatrix> weights(layer_.Column(panel_, 0), n, kPanelRows);
    const RowMatrix original = weights;
    const RowMatrix scaled = norms.asDiagonal() * original;
    RowMatrix mask(n, kPanelRows);
    for (int64_t i = 0; i < mask.size(); ++i) {
      mask.data()[i] = layer_.Kept(panel_, 0)[i];
    }
    RowMatrix kept = mask.cwiseProduct(scaled);       // Z
    RowMatrix dual = RowMatrix::Zero(n, kPanelRows);  // U
    RowMatrix off(n, kPanelRows), step(n, kPanelRows);
    for (int i = 0; i < kAdmmSteps; ++i) {
      off = kept - dual - scaled;
      step = scaled + dual;  // V + U
      for (int64_t k = 0; k < n; k += kBlock) {
        const int64_t size = std::min(kBlock, n - k);
        step.noalias() +=
            ridge_.solve.middleCols(k, size) * off.middleRows(k, size);
      }
      kept = mask.cwiseProduct(step);
      dual = step - kept;
    }
    const RowMatrix masked = mask.cwiseProduct(original);
    const RowMatrix refitted = norms.cwiseInverse().asDiagonal() * kept;
    weights = Energy(original - refitted) <= Energy(original - masked)
                  ? refitted
                  : masked;
  }

 private:
  double Energy(const RowMatrix& lost) const {
    PanelBuffer panel(lost.size());
    std::copy_n(lost.data(), lost.size(), panel.data());
    return PanelEnergy(panel.data(), gram_.n, &gram_);
  }

  const Ridge& ridge_;
  const Gram& gram_;
  PrunedLayer& layer_;
  const int64_t panel_;
};

}  // namespace

absl::StatusOr<std::vector<CompressedLayer>> AdmmCompressor::Prune(
    const LayerContext& layer,
    absl::Span<const search::LevelName> levels) const {
  const std::vector<float> norms = InputNorms(layer);
  const Gram* const gram = UsefulGram(layer);
  // With H = I nothing can be made good.
  if (gram == nullptr) {
    return PruneByScore(layer, levels, norms, Comparison::kRow);
  }
  const absl::StatusOr<Ridge> ridge = MakeRidge(layer, *gram);
  if (!ridge.ok()) return ridge.status();
  const std::vector<float> importance = InputPowers(layer);
  absl::StatusOr<std::vector<CompressedLayer>> layers =
      CompressPruned(layer, levels, [&](size_t, PrunedLayer& pruned) {
        DropByScore(norms, Comparison::kRow, pruned);
        tbb::parallel_for(int64_t{0}, pruned.panels(), [&](int64_t panel) {
          PanelRun(*ridge, *gram, pruned, panel).Run();
          pruned.RoundPanel(panel, importance.data());
        });
      });
  if (!layers.ok()) return layers.status();
  for (CompressedLayer& made : *layers) made.damping = kAdmmDamping;
  return layers;
}

}  // namespace evopress::quant
