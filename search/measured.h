// What a search has measured so far, sample by sample, and paired differences
// between assignments: samples that both were measured on, so that what makes
// a sample hard cancels out.
#ifndef EVOPRESS_SEARCH_MEASURED_H_
#define EVOPRESS_SEARCH_MEASURED_H_

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "absl/status/status.h"
#include "search/strategy.h"

namespace evopress::search {

struct PairedDifference {
  double mean = 0;      // a - b, per position; +infinity: a is not finite
  double variance = 0;  // of one sample's difference; 0 of fewer than two
  int samples = 0;      // that both were measured on
};

// Thread-compatible.
class Measured {
 public:
  // Kept values win over later ones: equal questions have equal answers.
  void Add(const Round& round, const RoundResults& results, Metric metric);

  // The same with what is known from elsewhere, but for the samples `without`.
  void Add(const Archive& archive, Metric metric,
           const std::vector<int32_t>& without);

  // The mean over `samples` of the metric per position; +infinity unless all
  // were measured and are finite.
  double Mean(const Assignment& assignment,
              const std::vector<int32_t>& samples) const;

  // Those of `samples` that are not measured yet, in their order.
  std::vector<int32_t> Missing(const Assignment& assignment,
                               const std::vector<int32_t>& samples) const;

  // Over all samples that `a` and `b` share.
  PairedDifference Compare(const Assignment& a, const Assignment& b) const;
  // Over those of `samples` that they share.
  PairedDifference Compare(const Assignment& a, const Assignment& b,
                           const std::vector<int32_t>& samples) const;

  nlohmann::json Save() const;
  // DataLoss unless every assignment lies in `space`.
  absl::Status Load(const SearchSpace& space, const nlohmann::json& saved);

 private:
  std::map<Assignment, std::map<int32_t, double>> values_;
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_MEASURED_H_
