#include "quant/score_pruning.h"

#include <oneapi/tbb/parallel_for.h>

#include <cmath>
#include <limits>

#include "quant/smallest.h"

namespace evopress::quant {
namespace {

using search::Sparsity;

// All weights at once, in the order of the panels.
void DropInLayer(const std::vector<float>& factors, PrunedLayer& pruned) {
  const WeightShape& shape = pruned.shape();
  const int64_t size = pruned.panels() * shape.cols * kPanelRows;
  // Rows beyond the layer are never the smallest.
  std::vector<float> scores(size, std::numeric_limits<float>::quiet_NaN());
  tbb::parallel_for(int64_t{0}, pruned.panels(), [&](int64_t panel) {
    for (int64_t c = 0; c < shape.cols; ++c) {
      const float* weights = pruned.Column(panel, c);
      float* score = scores.data() + (panel * shape.cols + c) * kPanelRows;
      for (int64_t r = 0; r < PanelRows(shape, panel); ++r) {
        score[r] = std::abs(weights[r]) * factors[c];
      }
    }
  });
  DropSmallest(scores.data(), size, pruned.zeros(), pruned.Kept(0, 0));
}

// The rows of a panel, group by group: `zeros_of_row` zeros in every
// `group` columns.
template <typename Zeros>
void DropInRows(const std::vector<float>& factors, int64_t group,
                const Zeros& zeros_of_row, int64_t panel, PrunedLayer& pruned) {
  const WeightShape& shape = pruned.shape();
  std::vector<float> scores(group);
  std::vector<uint8_t> kept(group);
  for (int64_t r = 0; r < PanelRows(shape, panel); ++r) {
    for (int64_t begin = 0; begin < shape.cols; begin += group) {
      for (int64_t c = 0; c < group; ++c) {
        scores[c] =
            std::abs(pruned.Column(panel, begin + c)[r]) * factors[begin + c];
      }
      DropSmallest(scores.data(), group, zeros_of_row(panel * kPanelRows + r),
                   kept.data());
      for (int64_t c = 0; c < group; ++c) {
        pruned.Kept(panel, begin + c)[r] = kept[c];
      }
    }
  }
}

}  // namespace

void DropByScore(const std::vector<float>& factors, Comparison comparison,
                 PrunedLayer& pruned) {
  const Sparsity& sparsity = pruned.level().sparsity;
  const WeightShape& shape = pruned.shape();
  const bool pattern = sparsity.kind == Sparsity::Kind::kPattern;
  if (!pattern && comparison == Comparison::kLayer) {
    DropInLayer(factors, pruned);
    return;
  }
  tbb::parallel_for(int64_t{0}, pruned.panels(), [&](int64_t panel) {
    if (pattern) {
      const auto zeros = [&](int64_t) {
        return sparsity.group - sparsity.amount;
      };
      DropInRows(factors, sparsity.group, zeros, panel, pruned);
    } else {
      const auto zeros = [&](int64_t row) {
        return ShareOf(pruned.zeros(), row, row + 1, shape.rows);
      };
      DropInRows(factors, shape.cols, zeros, panel, pruned);
    }
  });
}

absl::StatusOr<std::vector<CompressedLayer>> PruneByScore(
    const LayerContext& layer, absl::Span<const search::LevelName> levels,
    const std::vector<float>& factors, Comparison comparison) {
  const std::vector<float> importance = InputPowers(layer);
  return CompressPruned(layer, levels, [&](size_t, PrunedLayer& pruned) {
    DropByScore(factors, comparison, pruned);
    tbb::parallel_for(int64_t{0}, pruned.panels(), [&](int64_t panel) {
      pruned.RoundPanel(panel, importance.data());
    });
  });
}

}  // namespace evopress::quant
