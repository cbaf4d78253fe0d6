#include "quant/compressor_panels.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"
#include "quant/bit_packing.h"
#include "quant/gram_error.h"
#include "quant/gram_factor.h"
#include "quant/half.h"

namespace evopress::quant {
namespace {

constexpr int64_t kMaxWeights = int64_t{1} << 40;

// Writes the panel's rows; false if a scale is not a finite float16.
bool StorePanel(const QuantizedPanel& panel, int64_t index,
                const WeightShape& shape, PackedWeight* weight) {
  const int64_t rows = PanelRows(shape, index);
  const int64_t first = index * kPanelRows;
  const int64_t groups = weight->groups();
  const int64_t row_bytes = PackedBytes(shape.cols, weight->bits);
  std::vector<uint8_t> codes(shape.cols);
  std::vector<uint8_t> zeros(rows * groups);
  bool finite = true;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < shape.cols; ++c) {
      codes[c] = panel.codes[c * kPanelRows + r];
    }
    PackBits(codes.data(), shape.cols, weight->bits,
             weight->codes.data() + (first + r) * row_bytes);
    for (int64_t g = 0; g < groups; ++g) {
      const float scale = panel.grids[g].scale[r];
      finite = finite && std::isfinite(scale);
      weight->scales[(first + r) * groups + g] = FloatToHalf(scale);
      zeros[r * groups + g] = static_cast<uint8_t>(panel.grids[g].zero[r]);
    }
  }
  if (!weight->symmetric) {
    // A full panel's zeros fill whole bytes, as it has 64 rows.
    PackBits(zeros.data(), rows * groups, weight->bits,
             weight->zeros.data() + first * groups * weight->bits / 8);
  }
  return finite;
}

PackedWeight EmptyWeight(const WeightShape& shape,
                         const search::LevelName& level) {
  PackedWeight weight;
  weight.rows = shape.rows;
  weight.cols = shape.cols;
  weight.bits = level.bits;
  weight.group_size = static_cast<int>(GroupSize(shape, level));
  weight.symmetric = level.symmetric;
  const int64_t grids = shape.rows * weight.groups();
  weight.codes.resize(shape.rows * PackedBytes(shape.cols, level.bits));
  weight.scales.resize(grids);
  if (!level.symmetric) weight.zeros.resize(PackedBytes(grids, level.bits));
  return weight;
}

double Sum(const double* values, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += values[i];
  return sum;
}

}  // namespace

PanelBuffer::PanelBuffer(int64_t floats)
    : data_(static_cast<float*>(::operator new (
          sizeof(float) * static_cast<size_t>(floats), std::align_val_t{32}))) {
}

PanelBuffer::~PanelBuffer() { ::operator delete (data_, std::align_val_t{32}); }

int64_t PanelCount(const WeightShape& shape) {
  return (shape.rows + kPanelRows - 1) / kPanelRows;
}

int64_t PanelRows(const WeightShape& shape, int64_t panel) {
  return std::min(kPanelRows, shape.rows - panel * kPanelRows);
}

void LoadPanel(const LayerContext& layer, int64_t panel, float* out) {
  const int64_t cols = layer.shape.cols;
  const int64_t rows = PanelRows(layer.shape, panel);
  const float* weight = layer.weight.data() + panel * kPanelRows * cols;
  if (rows < kPanelRows) std::fill_n(out, cols * kPanelRows, 0.0f);
  // Tiles keep both sides of the transposition in the first cache.
  constexpr int64_t kTile = 16;
  for (int64_t c0 = 0; c0 < cols; c0 += kTile) {
    const int64_t c1 = std::min(cols, c0 + kTile);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = c0; c < c1; ++c) {
        out[c * kPanelRows + r] = weight[r * cols + c];
      }
    }
  }
}

const Gram* UsefulGram(const LayerContext& layer) {
  return layer.gram != nullptr && !IsZero(*layer.gram) ? layer.gram : nullptr;
}

std::vector<float> InputPowers(const LayerContext& layer) {
  std::vector<float> powers(layer.shape.cols, 1.0f);
  const Gram* gram = UsefulGram(layer);
  if (gram == nullptr) return powers;
  for (int64_t c = 0; c < layer.shape.cols; ++c) {
    powers[c] = gram->values[c * gram->n + c];
  }
  return powers;
}

double RelativeError(double error, double energy) {
  // Rounding may leave a tiny negative number where the Gram is singular.
  if (error <= 0) return 0;
  return energy > 0 ? error / energy : 1;
}

absl::Status CheckShape(const WeightShape& shape) {
  if (shape.rows < 1 || shape.cols < 1 ||
      shape.rows > kMaxWeights / shape.cols || shape.cols > INT32_MAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("impossible shape ", shape.rows, " x ", shape.cols));
  }
  return absl::OkStatus();
}

int64_t GroupSize(const WeightShape& shape, const search::LevelName& level) {
  return level.group_size == 0 ? shape.cols : level.group_size;
}

absl::StatusOr<LevelCosts> GridCosts(const WeightShape& shape,
                                     const search::LevelName& level) {
  if (absl::Status s = CheckShape(shape); !s.ok()) return s;
  if (level.bits < 2 || level.bits > 8) {
    return absl::InvalidArgumentError(
        absl::StrCat("bits=", level.bits, " is not in 2…8"));
  }
  if (level.group_size < 0 || shape.cols % GroupSize(shape, level) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "group size ", level.group_size, " does not divide the ", shape.cols,
        " columns; choose a divisor, or 0 for whole rows"));
  }
  const int64_t grids = shape.rows * (shape.cols / GroupSize(shape, level));
  LevelCosts costs;
  costs.code_bits = shape.rows * shape.cols * level.bits;
  costs.stored_bits =
      costs.code_bits + grids * (16 + (level.symmetric ? 0 : level.bits));
  costs.nonzeros = shape.rows * shape.cols;
  return costs;
}

absl::Status CheckWeights(const LayerContext& layer) {
  const auto invalid = [&](const std::string& what) {
    return absl::InvalidArgumentError(
        absl::StrCat("layer ", layer.name, ": ", what));
  };
  const WeightShape& shape = layer.shape;
  if (!CheckShape(shape).ok() ||
      static_cast<int64_t>(layer.weight.size()) != shape.rows * shape.cols) {
    return invalid(absl::StrCat(layer.weight.size(), " weights for a shape of ",
                                shape.rows, " x ", shape.cols));
  }
  for (size_t i = 0; i < layer.weight.size(); ++i) {
    if (!std::isfinite(layer.weight[i])) {
      const int64_t index = static_cast<int64_t>(i);
      return invalid(absl::StrCat("weight ", index, " (row ",
                                  index / shape.cols, ", column ",
                                  index % shape.cols, ") is not finite"));
    }
  }
  if (layer.gram == nullptr) return absl::OkStatus();
  const Gram& gram = *layer.gram;
  if (gram.n != shape.cols ||
      static_cast<int64_t>(gram.values.size()) != gram.n * gram.n) {
    return invalid(absl::StrCat("Gram of ", gram.n, " inputs (",
                                gram.values.size(), " values) for ", shape.cols,
                                " columns"));
  }
  for (size_t i = 0; i < gram.values.size(); ++i) {
    if (!std::isfinite(gram.values[i])) {
      return invalid(absl::StrCat("Gram value ", i, " is not finite"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLayer(const LayerContext& layer,
                        absl::Span<const search::LevelName> levels) {
  for (const search::LevelName& level : levels) {
    const absl::StatusOr<LevelCosts> costs = GridCosts(layer.shape, level);
    if (!costs.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("layer ", layer.name, ": ", costs.status().message()));
    }
  }
  return CheckWeights(layer);
}

absl::Status CheckGram(const LayerContext& layer, const std::string& method) {
  if (layer.gram != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("layer ", layer.name, ": ", method,
                   " needs the Gram of the layer's inputs; collect statistics "
                   "first"));
}

absl::StatusOr<std::vector<CompressedLayer>> CompressPanels(
    const LayerContext& layer, absl::Span<const search::LevelName> levels,
    const QuantizePanel& quantize) {
  const WeightShape& shape = layer.shape;
  const int64_t panels = PanelCount(shape);
  const int64_t panel_size = shape.cols * kPanelRows;
  const Gram* gram = UsefulGram(layer);

  std::vector<CompressedLayer> layers(levels.size());
  for (size_t l = 0; l < levels.size(); ++l) {
    layers[l].weight = EmptyWeight(shape, levels[l]);
  }
  std::vector<double> energies(panels);
  std::vector<double> errors(panels * levels.size());
  std::vector<uint8_t> overflow(panels * levels.size());

  // Job 0 of a panel weighs the layer's own energy, job l+1 makes level l.
  const int64_t jobs = static_cast<int64_t>(levels.size()) + 1;
  tbb::parallel_for(int64_t{0}, panels * jobs, [&](int64_t i) {
    const int64_t panel = i / jobs;
    PanelBuffer weight(panel_size);
    LoadPanel(layer, panel, weight.data());
    if (i % jobs == 0) {
      energies[panel] = PanelEnergy(weight.data(), shape.cols, gram);
      return;
    }
    const size_t level = static_cast<size_t>(i % jobs - 1);
    PackedWeight& packed = layers[level].weight;
    std::vector<uint8_t> codes(panel_size);
    std::vector<PanelGrid> grids(packed.groups());
    PanelBuffer values(panel_size);
    const QuantizedPanel out = {codes.data(), values.data(), grids.data()};
    const std::optional<double> error = quantize(level, weight.data(), out);
    const size_t slot = level * panels + panel;
    overflow[slot] = !StorePanel(out, panel, shape, &packed);
    if (error.has_value()) {
      errors[slot] = *error;
      return;
    }
    for (int64_t k = 0; k < panel_size; ++k) {
      values.data()[k] -= weight.data()[k];
    }
    errors[slot] = PanelEnergy(values.data(), shape.cols, gram);
  });

  const double energy = Sum(energies.data(), panels);
  for (size_t l = 0; l < levels.size(); ++l) {
    const double error = Sum(errors.data() + l * panels, panels);
    const bool bad = std::count(overflow.begin() + l * panels,
                                overflow.begin() + (l + 1) * panels, 1) > 0;
    if (bad || !std::isfinite(error) || !std::isfinite(energy)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "layer ", layer.name, ": values too large for float16 scales at ",
          levels[l].bits, " bits"));
    }
    layers[l].relative_error = RelativeError(error, energy);
    layers[l].costs = *GridCosts(shape, levels[l]);
  }
  return layers;
}

}  // namespace evopress::quant
