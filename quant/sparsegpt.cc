#include "quant/sparsegpt.h"

#include <immintrin.h>
#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <cmath>

#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>

#include "absl/strings/str_cat.h"
#include "quant/gram_factor.h"
#include "quant/pruned_layer.h"
#include "quant/smallest.h"

namespace evopress::quant {
namespace {

using search::Sparsity;

// Columns whose mask is chosen at once and whose compensation of later columns
// is applied as one product. Not above 128: see gram_factor.cc.
constexpr int64_t kBatch = 128;
constexpr int kVectors = kPanelRows / 8;

using RowMatrix =
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// columns[k] -= v[k] * error, for the rows of a panel.
void Compensate(const float* v, const float* error, int64_t count,
                float* columns) {
  __m256 lost[kVectors];
  for (int i = 0; i < kVectors; ++i) lost[i] = _mm256_load_ps(error + 8 * i);
  for (int64_t k = 0; k < count; ++k) {
    const __m256 factor = _mm256_broadcast_ss(v + k);
    for (int i = 0; i < kVectors; ++i) {
      float* at = columns + k * kPanelRows + 8 * i;
      _mm256_store_ps(at,
                      _mm256_fnmadd_ps(factor, lost[i], _mm256_load_ps(at)));
    }
  }
}

// What the levels of a layer share. Columns are in the layer's order.
struct Inputs {
  GramFactor factor;
  std::vector<bool> dead;
  std::vector<float> importance;  // 1 / V[c][c]^2; 0 for dead inputs
};

// One panel of a layer on its way to one level.
class PanelRun {
 public:
  PanelRun(const Inputs& inputs, PrunedLayer& layer, int64_t panel)
      : inputs_(inputs),
        layer_(layer),
        panel_(panel),
        cols_(layer.shape().cols),
        errors_(kBatch * kPanelRows),
        within_(kBatch * kBatch) {
    for (int64_t c = 0; c < cols_; ++c) {
      if (inputs_.dead[c]) std::fill_n(Column(c), kPanelRows, 0.0f);
    }
  }

  void Run() {
    for (int64_t begin = 0; begin < cols_;) {
      const int64_t end = BatchEnd(begin);
      if (!pattern()) DropInBatch(begin, end);
      PruneBatch(begin, end);
      CompensateRest(begin, end);
      begin = end;
    }
  }

 private:
  const Sparsity& sparsity() const { return layer_.level().sparsity; }
  bool pattern() const { return sparsity().kind == Sparsity::Kind::kPattern; }
  float* Column(int64_t c) { return layer_.Column(panel_, c); }
  float V(int64_t row, int64_t col) const {
    return inputs_.factor.v[row * cols_ + col];
  }

  // Batches begin where groups begin, so that every grid is fitted to weights
  // that carry the compensation of all batches before; and hold whole patterns.
  int64_t BatchEnd(int64_t begin) const {
    const int64_t whole = pattern() ? sparsity().group : 1;
    const int64_t group = layer_.group();
    if (group > kBatch) {
      const int64_t group_end = (begin / group + 1) * group;
      return std::min(group_end, begin + kBatch / whole * whole);
    }
    const int64_t unit = group > 0 ? group : whole;
    return std::min(cols_, begin + kBatch / unit * unit);
  }

  void DropInBatch(int64_t begin, int64_t end) {
    const WeightShape& shape = layer_.shape();
    for (int64_t r = 0; r < PanelRows(shape, panel_); ++r) {
      const int64_t row = panel_ * kPanelRows + r;
      const int64_t zeros = ShareOf(layer_.zeros(), row, row + 1, shape.rows);
      DropInRow(r, begin, end, ShareOf(zeros, begin, end, cols_));
    }
  }

  void DropInPattern(int64_t begin) {
    const int64_t size = sparsity().group;
    for (int64_t r = 0; r < kPanelRows; ++r) {
      DropInRow(r, begin, begin + size, size - sparsity().amount);
    }
  }

  // Of columns [begin, end), at most kBatch.
  void DropInRow(int64_t r, int64_t begin, int64_t end, int64_t zeros) {
    float scores[kBatch];
    uint8_t kept[kBatch];
    for (int64_t c = begin; c < end; ++c) {
      // w^2 / V[c][c]^2 is ordered as its root.
      scores[c - begin] = std::abs(Column(c)[r]) / V(c, c);
    }
    DropSmallest(scores, end - begin, zeros, kept);
    for (int64_t c = begin; c < end; ++c) {
      layer_.Kept(panel_, c)[r] = kept[c - begin];
    }
  }

  void PruneBatch(int64_t begin, int64_t end) {
    // V's part of the batch, transposed, so that a column's factors are a run.
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t c = begin; c <= r; ++c) {
        within_[(c - begin) * kBatch + r - begin] = V(r, c);
      }
    }
    const int64_t group = layer_.group();
    PanelBuffer rounded(kPanelRows);
    for (int64_t c = begin; c < end; ++c) {
      if (pattern() && c % sparsity().group == 0) DropInPattern(c);
      if (group > 0 && c % group == 0) {
        layer_.FitGroup(panel_, c, inputs_.importance.data());
      }
      layer_.RoundColumn(panel_, c, rounded.data());
      float* error = errors_.data() + (c - begin) * kPanelRows;
      const float* v = within_.data() + (c - begin) * (kBatch + 1);
      for (int64_t r = 0; r < kPanelRows; ++r) {
        error[r] = (Column(c)[r] - rounded.data()[r]) / v[0];
        Column(c)[r] = rounded.data()[r];
      }
      Compensate(v + 1, error, end - c - 1, Column(c + 1));
    }
  }

  void CompensateRest(int64_t begin, int64_t end) {
    if (end == cols_) return;
    const Eigen::Map<const RowMatrix> v(inputs_.factor.v.data(), cols_, cols_);
    const Eigen::Map<const RowMatrix> errors(errors_.data(), end - begin,
                                             kPanelRows);
    Eigen::Map<RowMatrix> rest(Column(end), cols_ - end, kPanelRows);
    rest.noalias() -= v.block(end, begin, cols_ - end, end - begin) * errors;
  }

  const Inputs& inputs_;
  PrunedLayer& layer_;
  const int64_t panel_;
  const int64_t cols_;
  PanelBuffer errors_;
  std::vector<float> within_;
};

absl::StatusOr<Inputs> MakeInputs(const LayerContext& layer) {
  const Gram* useful = UsefulGram(layer);
  const Gram identity = useful == nullptr ? Identity(layer.shape.cols) : Gram();
  const Gram& gram = useful == nullptr ? identity : *useful;
  absl::StatusOr<GramFactor> factor =
      FactorInverse(gram, /*by_diagonal=*/false);
  if (!factor.ok()) {
    return absl::Status(
        factor.status().code(),
        absl::StrCat("layer ", layer.name, ": ", factor.status().message()));
  }
  Inputs inputs;
  inputs.factor = *std::move(factor);
  inputs.dead = DeadInputs(gram);
  for (int64_t c = 0; c < gram.n; ++c) {
    const float pivot = inputs.factor.v[c * gram.n + c];
    inputs.importance.push_back(inputs.dead[c] ? 0.0f : 1 / (pivot * pivot));
  }
  return inputs;
}

}  // namespace

absl::StatusOr<std::vector<CompressedLayer>> SparseGptCompressor::Prune(
    const LayerContext& layer,
    absl::Span<const search::LevelName> levels) const {
  const absl::StatusOr<Inputs> inputs = MakeInputs(layer);
  if (!inputs.ok()) return inputs.status();
  absl::StatusOr<std::vector<CompressedLayer>> layers =
      CompressPruned(layer, levels, [&](size_t, PrunedLayer& pruned) {
        tbb::parallel_for(int64_t{0}, pruned.panels(), [&](int64_t panel) {
          PanelRun(*inputs, pruned, panel).Run();
        });
      });
  if (!layers.ok()) return layers.status();
  for (CompressedLayer& made : *layers) made.damping = inputs->factor.damping;
  return layers;
}

}  // namespace evopress::quant
