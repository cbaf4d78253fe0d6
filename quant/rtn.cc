#include "quant/rtn.h"

#include <exception>

#include "absl/strings/str_cat.h"
#include "quant/compressor_panels.h"
#include "quant/grid.h"

namespace evopress::quant {
namespace {

absl::Status OrderIsMeaningless() {
  return absl::InvalidArgumentError(
      "\"actorder\" has no meaning for rtn; leave it out or use gptq");
}

}  // namespace

absl::StatusOr<std::vector<CompressedLayer>> RtnCompressor::Compress(
    const LayerContext& layer, absl::Span<const search::LevelName> levels) const
    try {
  for (const search::LevelName& level : levels) {
    if (level.act_order) return OrderIsMeaningless();
  }
  if (absl::Status status = CheckLayer(layer, levels); !status.ok()) {
    return status;
  }
  const std::vector<float> importance = InputPowers(layer);
  return CompressPanels(
      layer, levels,
      [&](size_t l, const float* panel,
          const QuantizedPanel& out) -> std::optional<double> {
        const search::LevelName& level = levels[l];
        const GridOptions options = {level.bits, level.symmetric,
                                     level.scale_search};
        const int64_t group = GroupSize(layer.shape, level);
        for (int64_t c = 0; c < layer.shape.cols; ++c) {
          PanelGrid& grid = out.grids[c / group];
          if (c % group == 0) {
            FitGrid(panel + c * kPanelRows, group, importance.data() + c,
                    options, &grid);
          }
          QuantizeColumn(panel + c * kPanelRows, grid, level.bits,
                         out.codes + c * kPanelRows,
                         out.values + c * kPanelRows);
        }
        return std::nullopt;
      });
} catch (const std::exception& e) {
  return absl::ResourceExhaustedError(
      absl::StrCat("layer ", layer.name, ": rtn: ", e.what()));
}

absl::StatusOr<LevelCosts> RtnCompressor::Costs(
    const WeightShape& shape, const search::LevelName& level) const {
  if (level.act_order) return OrderIsMeaningless();
  return GridCosts(shape, level);
}

}  // namespace evopress::quant
