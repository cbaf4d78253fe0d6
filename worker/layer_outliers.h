// Outlier shares of blocks (OWL, arXiv 2310.05175, section 3).
#ifndef EVOPRESS_WORKER_LAYER_OUTLIERS_H_
#define EVOPRESS_WORKER_LAYER_OUTLIERS_H_

#include "absl/status/statusor.h"
#include "quant/checkpoint.h"
#include "worker/model_profile.h"

namespace evopress::worker {

// A score this many times the mean is an outlier: the paper's M.
inline constexpr double kOutlierFactor = 5;

// The share of a block's weights whose score |w| ||x|| exceeds kOutlierFactor
// times the mean score of the block; ||x|| is the norm of the weight's input
// over all tokens. Reads the weights of the block's layers twice. NotFound,
// naming the layer, if the model has no matrix of that shape.
absl::StatusOr<double> OutlierShare(const quant::Checkpoint& model,
                                    const BlockProfile& block);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_LAYER_OUTLIERS_H_
