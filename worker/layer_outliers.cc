#include "worker/layer_outliers.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"

namespace evopress::worker {
namespace {

// Calls `visit` with the score of every weight, layer by layer.
template <typename Visit>
absl::Status VisitScores(const quant::Checkpoint& model,
                         const BlockProfile& block, const Visit& visit) {
  std::vector<float> weights;
  std::vector<double> norms;
  for (const BlockProfile::Layer& layer : block.layers) {
    const std::vector<double>& powers = block.input_powers[layer.site];
    const auto columns = static_cast<int64_t>(powers.size());
    const quant::TensorInfo* info = model.Find(layer.name + ".weight");
    if (info == nullptr || info->shape.size() != 2 ||
        info->shape[1] != columns) {
      return absl::NotFoundError(
          absl::StrCat("the model has no linear layer \"", layer.name, "\" of ",
                       columns, " inputs"));
    }
    weights.resize(info->elements());
    absl::Status read = model.ReadF32(info->name, absl::MakeSpan(weights));
    if (!read.ok()) return read;
    norms.clear();
    for (const double power : powers) norms.push_back(std::sqrt(power));
    for (int64_t i = 0; i < info->elements(); ++i) {
      visit(std::abs(double{weights[i]}) * norms[i % columns]);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<double> OutlierShare(const quant::Checkpoint& model,
                                    const BlockProfile& block) {
  double sum = 0;
  int64_t weights = 0;
  absl::Status status = VisitScores(model, block, [&](double score) {
    sum += score;
    ++weights;
  });
  if (!status.ok()) return status;
  if (weights == 0) return 0.0;
  const double bound = kOutlierFactor * sum / static_cast<double>(weights);
  int64_t outliers = 0;
  status = VisitScores(model, block,
                       [&](double score) { outliers += score > bound; });
  if (!status.ok()) return status;
  return static_cast<double>(outliers) / static_cast<double>(weights);
}

}  // namespace evopress::worker
