#include "quant/pruned_layer.h"

#include <immintrin.h>
#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "quant/bit_packing.h"
#include "quant/gram_error.h"
#include "quant/half.h"

namespace evopress::quant {
namespace {

using search::Sparsity;

bool Quantized(const search::LevelName& level) {
  return level.bits != kFloat16Bits;
}

int64_t ZerosAt(const WeightShape& shape, const search::LevelName& level) {
  return *search::ZerosOf(level.sparsity, shape.rows * shape.cols);
}

absl::Status CheckPattern(const WeightShape& shape,
                          const search::LevelName& level) {
  const int64_t size = level.sparsity.group;
  if (shape.cols % size != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("groups of ", size, " do not divide the ", shape.cols,
                     " columns; choose another pattern"));
  }
  if (Quantized(level) && GroupSize(shape, level) % size != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("group size ", level.group_size,
                     " is no multiple of the pattern's ", size, " neighbours"));
  }
  return absl::OkStatus();
}

absl::Status Named(const LayerContext& layer, const absl::Status& status) {
  return absl::InvalidArgumentError(
      absl::StrCat("layer ", layer.name, ": ", status.message()));
}

// Sum over panels of the energy of their difference to the layer.
double ErrorOf(const LayerContext& layer, PrunedLayer& pruned,
               const Gram* gram) {
  std::vector<double> errors(pruned.panels());
  const int64_t size = layer.shape.cols * kPanelRows;
  tbb::parallel_for(int64_t{0}, pruned.panels(), [&](int64_t panel) {
    PanelBuffer difference(size);
    LoadPanel(layer, panel, difference.data());
    const float* values = pruned.Column(panel, 0);
    for (int64_t i = 0; i < size; ++i) difference.data()[i] -= values[i];
    errors[panel] = PanelEnergy(difference.data(), layer.shape.cols, gram);
  });
  return std::accumulate(errors.begin(), errors.end(), 0.0);
}

double EnergyOf(const LayerContext& layer, const Gram* gram) {
  std::vector<double> energies(PanelCount(layer.shape));
  tbb::parallel_for(int64_t{0}, PanelCount(layer.shape), [&](int64_t panel) {
    PanelBuffer weight(layer.shape.cols * kPanelRows);
    LoadPanel(layer, panel, weight.data());
    energies[panel] = PanelEnergy(weight.data(), layer.shape.cols, gram);
  });
  return std::accumulate(energies.begin(), energies.end(), 0.0);
}

}  // namespace

PrunedLayer::PrunedLayer(const LayerContext& layer,
                         const search::LevelName& level)
    : shape_(layer.shape),
      level_(level),
      group_(Quantized(level) ? GroupSize(layer.shape, level) : 0),
      zeros_(ZerosAt(layer.shape, level)),
      values_(At(panels(), 0)),
      kept_(At(panels(), 0), 1) {
  if (group_ > 0) {
    codes_.resize(kept_.size());
    grids_.resize(panels() * shape_.cols / group_);
  }
  tbb::parallel_for(int64_t{0}, panels(), [&](int64_t panel) {
    LoadPanel(layer, panel, Column(panel, 0));
  });
}

void PrunedLayer::FitGroup(int64_t panel, int64_t column,
                           const float* importance) {
  const float* weights = Column(panel, column);
  const uint8_t* kept = Kept(panel, column);
  PanelBuffer masked(group_ * kPanelRows);
  for (int64_t i = 0; i < group_ * kPanelRows; ++i) {
    masked.data()[i] = kept[i] != 0 ? weights[i] : 0.0f;
  }
  FitGrid(masked.data(), group_, importance + column,
          GridOptions{level_.bits, level_.symmetric, level_.scale_search},
          &GridOf(panel, column));
}

void PrunedLayer::RoundColumn(int64_t panel, int64_t column, float* rounded) {
  const float* weights = Column(panel, column);
  const uint8_t* kept = Kept(panel, column);
  if (group_ > 0) {
    QuantizeColumn(weights, GridOf(panel, column), level_.bits,
                   codes_.data() + At(panel, column), rounded);
  } else {
    for (int64_t i = 0; i < kPanelRows; i += 8) {
      const __m128i half = _mm256_cvtps_ph(_mm256_load_ps(weights + i),
                                           _MM_FROUND_TO_NEAREST_INT);
      _mm256_store_ps(rounded + i, _mm256_cvtph_ps(half));
    }
  }
  for (int64_t i = 0; i < kPanelRows; ++i) {
    rounded[i] = kept[i] != 0 ? rounded[i] : 0.0f;
  }
}

void PrunedLayer::RoundPanel(int64_t panel, const float* importance) {
  for (int64_t c = 0; c < shape_.cols; ++c) {
    if (group_ > 0 && c % group_ == 0) FitGroup(panel, c, importance);
    RoundColumn(panel, c, Column(panel, c));
  }
}

void PrunedLayer::PackGrids(PackedWeight* weight) const {
  const int64_t groups = shape_.cols / group_;
  std::vector<uint8_t> zeros;
  for (int64_t r = 0; r < shape_.rows; ++r) {
    const PanelGrid* grids = grids_.data() + r / kPanelRows * groups;
    for (int64_t g = 0; g < groups; ++g) {
      weight->scales.push_back(FloatToHalf(grids[g].scale[r % kPanelRows]));
      zeros.push_back(static_cast<uint8_t>(grids[g].zero[r % kPanelRows]));
    }
  }
  if (level_.symmetric) return;
  weight->zeros.resize(PackedBytes(zeros.size(), level_.bits));
  PackBits(zeros.data(), zeros.size(), level_.bits, weight->zeros.data());
}

absl::StatusOr<PackedWeight> PrunedLayer::Pack() const {
  PackedWeight weight;
  weight.rows = shape_.rows;
  weight.cols = shape_.cols;
  weight.bits = level_.bits;
  weight.group_size = static_cast<int>(group_);
  weight.symmetric = group_ > 0 && level_.symmetric;
  weight.positions.resize(PackedBytes(shape_.rows * shape_.cols, 1));
  std::vector<uint8_t> codes;
  int64_t i = 0;  // of the weights, row-major
  for (int64_t r = 0; r < shape_.rows; ++r) {
    for (int64_t c = 0; c < shape_.cols; ++c, ++i) {
      const int64_t at = At(r / kPanelRows, c) + r % kPanelRows;
      if (kept_[at] == 0) continue;
      weight.positions[i / 8] |= static_cast<uint8_t>(1 << (i % 8));
      if (group_ > 0) {
        codes.push_back(codes_[at]);
        continue;
      }
      const uint16_t half = FloatToHalf(values_.data()[at]);
      weight.codes.push_back(static_cast<uint8_t>(half & 0xff));
      weight.codes.push_back(static_cast<uint8_t>(half >> 8));
    }
  }
  if (group_ > 0) {
    PackGrids(&weight);
    weight.codes.resize(PackedBytes(codes.size(), level_.bits));
    PackBits(codes.data(), codes.size(), level_.bits, weight.codes.data());
  }
  if (absl::Status s = Validate(weight); !s.ok()) return s;
  return weight;
}

int64_t ShareOf(int64_t zeros, int64_t begin, int64_t end, int64_t size) {
  const auto before = [&](int64_t piece) {
    return static_cast<int64_t>(static_cast<__int128>(zeros) * piece / size);
  };
  return before(end) - before(begin);
}

absl::StatusOr<LevelCosts> PruneCosts(const WeightShape& shape,
                                      const search::LevelName& level) {
  if (absl::Status s = CheckShape(shape); !s.ok()) return s;
  if (level.sparsity.kind == Sparsity::Kind::kNone || level.act_order) {
    return absl::InvalidArgumentError(absl::StrCat(
        level.method, level.act_order ? " has no \"actorder\"; leave it out"
                                      : " needs a sparsity such as 50"));
  }
  int64_t grid_bits = 0;
  if (Quantized(level)) {
    const absl::StatusOr<LevelCosts> dense = GridCosts(shape, level);
    if (!dense.ok()) return dense.status();
    grid_bits = dense->stored_bits - dense->code_bits;
  }
  if (level.sparsity.kind == Sparsity::Kind::kPattern) {
    if (absl::Status s = CheckPattern(shape, level); !s.ok()) return s;
  }
  const int64_t weights = shape.rows * shape.cols;
  const absl::StatusOr<int64_t> zeros =
      search::ZerosOf(level.sparsity, weights);
  if (!zeros.ok()) return zeros.status();
  LevelCosts costs;
  costs.nonzeros = weights - *zeros;
  costs.code_bits = weights + costs.nonzeros * level.bits;
  costs.stored_bits = costs.code_bits + grid_bits;
  return costs;
}

absl::Status CheckPruned(const LayerContext& layer,
                         absl::Span<const search::LevelName> levels) {
  for (const search::LevelName& level : levels) {
    const absl::StatusOr<LevelCosts> costs = PruneCosts(layer.shape, level);
    if (!costs.ok()) return Named(layer, costs.status());
  }
  return CheckWeights(layer);
}

absl::StatusOr<std::vector<CompressedLayer>> CompressPruned(
    const LayerContext& layer, absl::Span<const search::LevelName> levels,
    const PruneLevel& prune) {
  const Gram* gram = UsefulGram(layer);
  const double energy = EnergyOf(layer, gram);
  std::vector<CompressedLayer> layers(levels.size());
  for (size_t l = 0; l < levels.size(); ++l) {
    PrunedLayer pruned(layer, levels[l]);
    prune(l, pruned);
    absl::StatusOr<PackedWeight> packed = pruned.Pack();
    if (!packed.ok()) return Named(layer, packed.status());
    layers[l].weight = *std::move(packed);
    layers[l].costs = *PruneCosts(layer.shape, levels[l]);
    layers[l].relative_error =
        RelativeError(ErrorOf(layer, pruned, gram), energy);
  }
  return layers;
}

}  // namespace evopress::quant
