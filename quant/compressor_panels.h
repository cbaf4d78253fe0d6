// What all row-wise quantizers share: checks, splitting a layer into panels
// of rows, running levels and panels in parallel, packing, and the error.
#ifndef EVOPRESS_QUANT_COMPRESSOR_PANELS_H_
#define EVOPRESS_QUANT_COMPRESSOR_PANELS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "quant/compressor.h"
#include "quant/grid.h"
#include "search/level_name.h"

namespace evopress::quant {

// 32-byte aligned floats, for panels.
class PanelBuffer {
 public:
  // Uninitialized.
  explicit PanelBuffer(int64_t floats);
  ~PanelBuffer();
  PanelBuffer(const PanelBuffer&) = delete;
  PanelBuffer& operator=(const PanelBuffer&) = delete;

  float* data() { return data_; }
  const float* data() const { return data_; }

 private:
  float* data_;
};

// One panel quantized; columns in the layer's order. Laid out as the panel.
struct QuantizedPanel {
  uint8_t* codes = nullptr;    // cols * kPanelRows
  float* values = nullptr;     // cols * kPanelRows: scale * (code - zero)
  PanelGrid* grids = nullptr;  // one per group
};

// Quantizes one panel at levels[level]. Returns tr(D H D^T), D the change of
// the panel and H the layer's useful Gram, if that falls out of the method;
// else it is computed. Called from many threads at once; must depend on its
// arguments only.
using QuantizePanel = std::function<std::optional<double>(
    size_t level, const float* panel, const QuantizedPanel& out)>;

int64_t PanelCount(const WeightShape& shape);

// Rows of the layer in that panel: kPanelRows but for the last.
int64_t PanelRows(const WeightShape& shape, int64_t panel);

// Writes cols * kPanelRows floats.
void LoadPanel(const LayerContext& layer, int64_t panel, float* out);

// The layer's Gram, or null if there is none or it says nothing.
const Gram* UsefulGram(const LayerContext& layer);

// The diagonal of UsefulGram(), by column; ones without.
std::vector<float> InputPowers(const LayerContext& layer);

// error / energy; relative to a zero energy, 0 if nothing was lost and else 1.
double RelativeError(double error, double energy);

// InvalidArgument naming the sizes unless they are possible.
absl::Status CheckShape(const WeightShape& shape);

// InvalidArgument, naming the layer, unless sizes fit and the weights and the
// Gram are finite.
absl::Status CheckWeights(const LayerContext& layer);

// CheckWeights(), and InvalidArgument, naming the layer, unless every level
// suits the shape.
absl::Status CheckLayer(const LayerContext& layer,
                        absl::Span<const search::LevelName> levels);

// FailedPrecondition, naming the layer and `method`, unless the layer has a
// Gram, of zeros or not.
absl::Status CheckGram(const LayerContext& layer, const std::string& method);

// Costs of a level with one grid per row and group. InvalidArgument naming
// the bits, or columns and group, that do not fit.
absl::StatusOr<LevelCosts> GridCosts(const WeightShape& shape,
                                     const search::LevelName& level);

// level.group_size, or all columns for 0.
int64_t GroupSize(const WeightShape& shape, const search::LevelName& level);

// Runs `quantize` on all panels at all levels on the current TBB arena. A
// Gram of zeros counts as none. InvalidArgument, naming the layer, if a scale
// leaves the range of float16. REQUIRES: CheckLayer was ok.
absl::StatusOr<std::vector<CompressedLayer>> CompressPanels(
    const LayerContext& layer, absl::Span<const search::LevelName> levels,
    const QuantizePanel& quantize);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_COMPRESSOR_PANELS_H_
