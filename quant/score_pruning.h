// Pruning by a score that each weight has from the beginning: |w|, times a
// factor of its column. Kept weights are only rounded, not adjusted; `search`
// weighs a column's rounding errors by its input's power, as rtn does.
#ifndef EVOPRESS_QUANT_SCORE_PRUNING_H_
#define EVOPRESS_QUANT_SCORE_PRUNING_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "quant/compressor.h"
#include "quant/pruned_layer.h"

namespace evopress::quant {

enum class Comparison {
  kLayer,  // all weights of the layer with each other
  kRow,    // the weights of a row; rows share the zeros evenly
};

// `factors` has one entry a column. A pattern compares within its groups,
// whatever `comparison` says. Same errors as CompressPruned.
// REQUIRES: CheckPruned was ok.
absl::StatusOr<std::vector<CompressedLayer>> PruneByScore(
    const LayerContext& layer, absl::Span<const search::LevelName> levels,
    const std::vector<float>& factors, Comparison comparison);

// Marks as pruned what PruneByScore prunes, and rounds nothing.
// REQUIRES: all weights of `pruned` are kept and as they were.
void DropByScore(const std::vector<float>& factors, Comparison comparison,
                 PrunedLayer& pruned);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_SCORE_PRUNING_H_
