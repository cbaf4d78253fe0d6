// Round to nearest: every weight goes to the nearest point of its group's
// grid. Needs no Gram; with one, `search` weighs columns by its diagonal and
// errors are measured in it.
#ifndef EVOPRESS_QUANT_RTN_H_
#define EVOPRESS_QUANT_RTN_H_

#include <vector>

#include "quant/compressor.h"

namespace evopress::quant {

// Thread-safe. `actorder` is InvalidArgument: the order means nothing here.
class RtnCompressor : public Compressor {
 public:
  absl::StatusOr<std::vector<CompressedLayer>> Compress(
      const LayerContext& layer,
      absl::Span<const search::LevelName> levels) const override;
  absl::StatusOr<LevelCosts> Costs(
      const WeightShape& shape, const search::LevelName& level) const override;
  bool needs_gram() const override { return false; }
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_RTN_H_
