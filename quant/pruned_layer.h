// What all pruners share: a layer whose weights are dropped one by one, the
// rounding of those that stay, exact costs, packing and the error.
//
// Kept weights become float16 numbers or, at a level with a width, points of
// their group's grid; both are what is stored, to the bit. A grid is fitted
// with pruned weights at 0, which every grid holds exactly.
#ifndef EVOPRESS_QUANT_PRUNED_LAYER_H_
#define EVOPRESS_QUANT_PRUNED_LAYER_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "quant/compressor.h"
#include "quant/compressor_panels.h"
#include "quant/grid.h"
#include "search/level_name.h"

namespace evopress::quant {

// One layer on its way to one level: panels (grid.h) one after the other.
// Panels may be worked on in parallel.
class PrunedLayer {
 public:
  // Holds the layer's weights, all kept. REQUIRES: CheckPruned was ok.
  PrunedLayer(const LayerContext& layer, const search::LevelName& level);

  const WeightShape& shape() const { return shape_; }
  const search::LevelName& level() const { return level_; }
  int64_t panels() const { return PanelCount(shape_); }
  int64_t zeros() const { return zeros_; }  // that the level asks for
  // Columns that share a grid; 0 if weights are not quantized.
  int64_t group() const { return group_; }

  // kPanelRows entries each: the weights of a column, and 1 or 0 for each that
  // is kept or not. Rows beyond the layer are of no account.
  float* Column(int64_t panel, int64_t column) {
    return values_.data() + At(panel, column);
  }
  uint8_t* Kept(int64_t panel, int64_t column) {
    return kept_.data() + At(panel, column);
  }

  // Fits the grids of the group that begins at `column` to its kept weights.
  // `importance` is by column of the layer. REQUIRES: group() > 0.
  void FitGroup(int64_t panel, int64_t column, const float* importance);

  // Writes to `rounded` what the column is stored as: pruned weights 0, the
  // others rounded. `rounded` may be Column(panel, column).
  void RoundColumn(int64_t panel, int64_t column, float* rounded);

  // FitGroup and RoundColumn on all columns, in place.
  void RoundPanel(int64_t panel, const float* importance);

  // The rounded layer as it is stored. InvalidArgument if a number or a scale
  // leaves the range of float16.
  absl::StatusOr<PackedWeight> Pack() const;

 private:
  int64_t At(int64_t panel, int64_t column) const {
    return (panel * shape_.cols + column) * kPanelRows;
  }
  PanelGrid& GridOf(int64_t panel, int64_t column) {
    return grids_[(panel * shape_.cols + column) / group_];
  }
  void PackGrids(PackedWeight* weight) const;

  const WeightShape shape_;
  const search::LevelName level_;
  const int64_t group_;
  const int64_t zeros_;
  PanelBuffer values_;
  std::vector<uint8_t> kept_;
  std::vector<uint8_t> codes_;    // as kept_; empty unless quantized
  std::vector<PanelGrid> grids_;  // by panel, then group
};

// Costs of a level that prunes. InvalidArgument naming the sparsity, bits or
// group that does not fit the shape.
absl::StatusOr<LevelCosts> PruneCosts(const WeightShape& shape,
                                      const search::LevelName& level);

// Prunes and rounds all of a layer for levels[level]. Must depend on its
// arguments only.
using PruneLevel = std::function<void(size_t level, PrunedLayer& layer)>;

// InvalidArgument, naming the layer, unless sizes fit, the weights and the
// Gram are finite and every level suits the shape.
absl::Status CheckPruned(const LayerContext& layer,
                         absl::Span<const search::LevelName> levels);

// Runs `prune`, which is to use the current TBB arena, on one level after the
// other, and fills in all of CompressedLayer but the damping. InvalidArgument,
// naming the layer, if a number leaves the range of float16.
// REQUIRES: CheckPruned was ok.
absl::StatusOr<std::vector<CompressedLayer>> CompressPruned(
    const LayerContext& layer, absl::Span<const search::LevelName> levels,
    const PruneLevel& prune);

// The part of `zeros` that falls on [begin, end) of `size` equal pieces. Parts
// that cover all pieces sum to `zeros`, and none exceeds its fair share by 1.
int64_t ShareOf(int64_t zeros, int64_t begin, int64_t end, int64_t size);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_PRUNED_LAYER_H_
