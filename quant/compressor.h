// The compressor seam: turns one layer's weights into a packed blob at a
// level, and back. Adding a method means one pair of files, one line in
// compressor_registry.cc and its tests.
#ifndef EVOPRESS_QUANT_COMPRESSOR_H_
#define EVOPRESS_QUANT_COMPRESSOR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "quant/gram.h"
#include "quant/packed_weight.h"
#include "search/level_name.h"

namespace evopress::quant {

// y = W x with W of rows x cols, row-major; cols is the input dimension.
struct WeightShape {
  int64_t rows = 0;
  int64_t cols = 0;
};

// Exact costs of one layer at one level.
struct LevelCosts {
  // What the weights themselves take: width of a code times the weights that
  // have one ("nominal" bits), and one bit a weight that says whether it has,
  // if some have not. Scales and zeros are what comes on top of it.
  int64_t code_bits = 0;
  int64_t stored_bits = 0;  // codes + positions + scales + zeros + indices
  int64_t nonzeros = 0;     // weights that the level does not prune
};

// One layer to compress. The spans must outlive the calls that use it.
struct LayerContext {
  std::string name;
  WeightShape shape;
  absl::Span<const float> weight;  // rows * cols, finite
  const Gram* gram = nullptr;      // inputs' second moments; may be null
};

// A compressed layer and how well it fits.
struct CompressedLayer {
  PackedWeight weight;
  LevelCosts costs;
  // tr(dW H dW^T) / tr(W H W^T), H = sum of x x^T; with no Gram H = I.
  double relative_error = 0;
  // Added to H's diagonal, as a share of its mean; 0 if nothing was damped.
  double damping = 0;
};

class Compressor {
 public:
  virtual ~Compressor() = default;

  // Compresses one layer to several levels of this method at once, so that
  // work such as a factorization is shared. Results are in the order of
  // `levels` and bitwise equal to compressing each level alone, with any
  // number of threads. FailedPrecondition if a Gram is needed and missing;
  // InvalidArgument (naming the layer) for non-finite weights or a level that
  // the shape does not admit.
  virtual absl::StatusOr<std::vector<CompressedLayer>> Compress(
      const LayerContext& layer,
      absl::Span<const search::LevelName> levels) const = 0;

  virtual absl::StatusOr<LevelCosts> Costs(
      const WeightShape& shape, const search::LevelName& level) const = 0;

  virtual bool needs_gram() const = 0;
};

// The compressor of `level.method`; NotFound lists the known methods.
absl::StatusOr<const Compressor*> FindCompressor(const std::string& method);

// Costs of any level name, "keep" included (16 bits a weight, code = stored).
absl::StatusOr<LevelCosts> CostsOf(const WeightShape& shape,
                                   const search::LevelName& level);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_COMPRESSOR_H_
