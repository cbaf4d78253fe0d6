// The frame of every pruner: checks, exact costs, and exceptions of libraries
// caught. What is pruned and how is the derived class's.
#ifndef EVOPRESS_QUANT_PRUNER_H_
#define EVOPRESS_QUANT_PRUNER_H_

#include <string>
#include <utility>
#include <vector>

#include "quant/compressor.h"

namespace evopress::quant {

// As Compressor. ResourceExhausted, naming layer and method, if Prune() throws.
class Pruner : public Compressor {
 public:
  Pruner(std::string method, bool needs_gram)
      : method_(std::move(method)), needs_gram_(needs_gram) {}

  absl::StatusOr<std::vector<CompressedLayer>> Compress(
      const LayerContext& layer,
      absl::Span<const search::LevelName> levels) const final;
  absl::StatusOr<LevelCosts> Costs(const WeightShape& shape,
                                   const search::LevelName& level) const final;
  bool needs_gram() const final { return needs_gram_; }

 private:
  // REQUIRES: CheckPruned (pruned_layer.h) was ok, and CheckGram if a Gram is
  // needed.
  virtual absl::StatusOr<std::vector<CompressedLayer>> Prune(
      const LayerContext& layer,
      absl::Span<const search::LevelName> levels) const = 0;

  const std::string method_;
  const bool needs_gram_;
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_PRUNER_H_
