#include "quant/gptq.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <numeric>
#include <optional>

#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>

#include "absl/strings/str_cat.h"
#include "quant/compressor_panels.h"
#include "quant/gram_factor.h"
#include "quant/grid.h"

namespace evopress::quant {
namespace {

// Columns whose compensation of later columns is applied as one product. Not
// above 128: see gram_factor.cc.
constexpr int64_t kBatch = 128;
constexpr int kVectors = kPanelRows / 8;

using RowMatrix =
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// The layer as every panel of a level sees it.
struct Plan {
  const GramFactor* factor;
  std::vector<bool> dead;         // by column of the layer
  std::vector<float> importance;  // by column of the layer
  GridOptions grid;
  int64_t group;
  bool static_groups;
};

// column -= sum over k of v[k] * errors[k], for the rows of a panel.
void Compensate(const float* v, const float* errors, int64_t count,
                float* column) {
  __m256 sum[kVectors];
  for (int i = 0; i < kVectors; ++i) sum[i] = _mm256_load_ps(column + 8 * i);
  for (int64_t k = 0; k < count; ++k) {
    const __m256 factor = _mm256_broadcast_ss(v + k);
    const float* error = errors + k * kPanelRows;
    for (int i = 0; i < kVectors; ++i) {
      sum[i] = _mm256_fnmadd_ps(factor, _mm256_load_ps(error + 8 * i), sum[i]);
    }
  }
  for (int i = 0; i < kVectors; ++i) _mm256_store_ps(column + 8 * i, sum[i]);
}

double Sum(__m256 lanes) {
  alignas(32) float values[8];
  _mm256_store_ps(values, lanes);
  double sum = 0;
  for (const float value : values) sum += value;
  return sum;
}

// Batches begin where groups begin, so that every group starts from weights
// that carry the compensation of all batches before.
int64_t BatchEnd(const Plan& plan, int64_t begin, int64_t cols) {
  if (plan.static_groups) return std::min(cols, begin + kBatch);
  if (plan.group <= kBatch) {
    return std::min(cols, begin + kBatch / plan.group * plan.group);
  }
  const int64_t group_end = (begin / plan.group + 1) * plan.group;
  return std::min(group_end, begin + kBatch);
}

// One panel on its way: columns in the factor's order.
class PanelRun {
 public:
  PanelRun(const Plan& plan, const float* panel, const QuantizedPanel& out)
      : plan_(plan),
        cols_(plan.factor->n),
        out_(out),
        panel_(panel),
        work_(cols_ * kPanelRows),
        errors_(kBatch * kPanelRows) {
    for (int64_t c = 0; c < cols_; ++c) {
      const int64_t column = plan_.factor->order[c];
      if (plan_.dead[column]) {
        std::fill_n(Column(c), kPanelRows, 0.0f);
      } else {
        std::memcpy(Column(c), panel + column * kPanelRows,
                    kPanelRows * sizeof(float));
      }
    }
    if (plan_.static_groups) FitAllGrids();
  }

  // tr(D H D^T) of the panel's change D. With V V^T = (H / mean + damping)^-1
  // and E the errors over their pivots, D = E V^-1 up to its sign, so that
  // tr(D (H / mean + damping) D^T) = |E|^2.
  double Run() {
    for (int64_t begin = 0; begin < cols_;) {
      const int64_t end = BatchEnd(plan_, begin, cols_);
      QuantizeBatch(begin, end);
      CompensateRest(begin, end);
      begin = end;
    }
    return plan_.factor->mean *
           (squared_errors_ - plan_.factor->damping * squared_changes_);
  }

 private:
  float* Column(int64_t c) { return work_.data() + c * kPanelRows; }
  const float* FactorRow(int64_t c) const {
    return plan_.factor->v.data() + c * cols_;
  }

  // Groups are runs of the layer's columns, which `work_` holds reordered.
  void FitAllGrids() {
    PanelBuffer ordered(cols_ * kPanelRows);
    for (int64_t c = 0; c < cols_; ++c) {
      std::memcpy(ordered.data() + plan_.factor->order[c] * kPanelRows,
                  Column(c), kPanelRows * sizeof(float));
    }
    for (int64_t c = 0; c < cols_; c += plan_.group) {
      FitGrid(ordered.data() + c * kPanelRows, plan_.group,
              plan_.importance.data() + c, plan_.grid,
              &out_.grids[c / plan_.group]);
    }
  }

  // Within a batch, errors reach a column just before they are needed: `from`
  // is the first column whose error the current one has not received yet.
  void QuantizeBatch(int64_t begin, int64_t end) {
    int64_t from = begin;
    for (int64_t c = begin; c < end; ++c) {
      if (!plan_.static_groups && c % plan_.group == 0) {
        if (c > begin) {
          for (int64_t j = c; j < c + plan_.group; ++j) {
            Receive(begin, begin, c, j);
          }
        }
        from = c;
        FitGrid(Column(c), plan_.group, plan_.importance.data() + c, plan_.grid,
                &out_.grids[c / plan_.group]);
      }
      Receive(begin, from, c, c);
      QuantizeOne(begin, c);
    }
  }

  // Lets column j feel the errors of columns [from, to).
  void Receive(int64_t batch, int64_t from, int64_t to, int64_t j) {
    Compensate(FactorRow(j) + from,
               errors_.data() + (from - batch) * kPanelRows, to - from,
               Column(j));
  }

  void QuantizeOne(int64_t batch, int64_t c) {
    const int64_t column = plan_.factor->order[c];
    float* values = out_.values + column * kPanelRows;
    QuantizeColumn(Column(c), out_.grids[column / plan_.group], plan_.grid.bits,
                   out_.codes + column * kPanelRows, values);
    const __m256 pivot = _mm256_broadcast_ss(FactorRow(c) + c);
    float* error = errors_.data() + (c - batch) * kPanelRows;
    const float* original = panel_ + column * kPanelRows;
    __m256 squared_error = _mm256_setzero_ps();
    __m256 squared_change = _mm256_setzero_ps();
    for (int64_t i = 0; i < kPanelRows; i += 8) {
      const __m256 value = _mm256_load_ps(values + i);
      const __m256 lost = _mm256_sub_ps(_mm256_load_ps(Column(c) + i), value);
      const __m256 e = _mm256_div_ps(lost, pivot);
      _mm256_store_ps(error + i, e);
      squared_error = _mm256_fmadd_ps(e, e, squared_error);
      const __m256 change = _mm256_sub_ps(_mm256_load_ps(original + i), value);
      squared_change = _mm256_fmadd_ps(change, change, squared_change);
    }
    if (plan_.dead[column]) return;
    squared_errors_ += Sum(squared_error);
    squared_changes_ += Sum(squared_change);
  }

  void CompensateRest(int64_t begin, int64_t end) {
    if (end == cols_) return;
    const Eigen::Map<const RowMatrix> v(plan_.factor->v.data(), cols_, cols_);
    const Eigen::Map<const RowMatrix> errors(errors_.data(), end - begin,
                                             kPanelRows);
    Eigen::Map<RowMatrix> rest(Column(end), cols_ - end, kPanelRows);
    rest.noalias() -= v.block(end, begin, cols_ - end, end - begin) * errors;
  }

  const Plan& plan_;
  const int64_t cols_;
  const QuantizedPanel& out_;
  const float* const panel_;  // columns in the layer's order
  PanelBuffer work_;
  PanelBuffer errors_;
  double squared_errors_ = 0;   // of live columns
  double squared_changes_ = 0;  // likewise
};

// 1 / V[c][c]^2 by column of the layer; a dead column does not count.
std::vector<float> Importance(const GramFactor& factor,
                              const std::vector<bool>& dead) {
  std::vector<float> importance(factor.n);
  for (int64_t i = 0; i < factor.n; ++i) {
    const float pivot = factor.v[i * factor.n + i];
    importance[factor.order[i]] =
        dead[factor.order[i]] ? 0.0f : 1.0f / (pivot * pivot);
  }
  return importance;
}

absl::Status Named(const LayerContext& layer, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("layer ", layer.name, ": ",
                                                  status.message()));
}

}  // namespace

absl::StatusOr<std::vector<CompressedLayer>> GptqCompressor::Compress(
    const LayerContext& layer, absl::Span<const search::LevelName> levels) const
    try {
  if (absl::Status status = CheckLayer(layer, levels); !status.ok()) {
    return status;
  }
  if (absl::Status s = CheckGram(layer, "gptq"); !s.ok()) return s;
  const Gram identity =
      IsZero(*layer.gram) ? Identity(layer.shape.cols) : Gram();
  const Gram& gram = identity.n > 0 ? identity : *layer.gram;
  const std::vector<bool> dead = DeadInputs(gram);

  std::optional<GramFactor> factors[2];  // by act_order
  std::vector<Plan> plans;
  for (const search::LevelName& level : levels) {
    std::optional<GramFactor>& factor = factors[level.act_order ? 1 : 0];
    if (!factor.has_value()) {
      absl::StatusOr<GramFactor> made = FactorInverse(gram, level.act_order);
      if (!made.ok()) return Named(layer, made.status());
      factor = *std::move(made);
    }
    plans.push_back(
        Plan{&*factor, dead, Importance(*factor, dead),
             GridOptions{level.bits, level.symmetric, level.scale_search},
             GroupSize(layer.shape, level), level.act_order});
  }
  absl::StatusOr<std::vector<CompressedLayer>> layers =
      CompressPanels(layer, levels,
                     [&](size_t l, const float* panel,
                         const QuantizedPanel& out) -> std::optional<double> {
                       return PanelRun(plans[l], panel, out).Run();
                     });
  if (!layers.ok()) return layers.status();
  for (size_t l = 0; l < levels.size(); ++l) {
    (*layers)[l].damping = plans[l].factor->damping;
  }
  return layers;
} catch (const std::exception& e) {
  return absl::ResourceExhaustedError(
      absl::StrCat("layer ", layer.name, ": gptq: ", e.what()));
}

absl::StatusOr<LevelCosts> GptqCompressor::Costs(
    const WeightShape& shape, const search::LevelName& level) const {
  return GridCosts(shape, level);
}

}  // namespace evopress::quant
