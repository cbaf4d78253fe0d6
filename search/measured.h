// What a search has measured so far, sample by sample, and paired differences
// between assignments, over domains as their fitness says.
#ifndef EVOPRESS_SEARCH_MEASURED_H_
#define EVOPRESS_SEARCH_MEASURED_H_

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "search/sample_domains.h"
#include "search/strategy.h"

namespace evopress::search {

// Thread-compatible.
class Measured {
 public:
  explicit Measured(SampleDomains domains = {})
      : domains_(std::move(domains)) {}

  // Kept values win over later ones: equal questions have equal answers.
  void Add(const Round& round, const RoundResults& results, Metric metric);

  // The same with what is known from elsewhere, but for the samples `without`.
  void Add(const Archive& archive, Metric metric,
           const std::vector<int32_t>& without);

  // The fitness over `samples`; +infinity unless all were measured and are
  // finite.
  double Mean(const Assignment& assignment,
              const std::vector<int32_t>& samples) const;

  // Those of `samples` that are not measured yet, in their order.
  std::vector<int32_t> Missing(const Assignment& assignment,
                               const std::vector<int32_t>& samples) const;

  // Over all samples that `a` and `b` share. Domains count by weight, whatever
  // the fitness: differences of effects add up. The variance is that within
  // domains; between them, where each has but one sample.
  PairedDifference Compare(const Assignment& a, const Assignment& b) const;
  // Over those of `samples` that they share.
  PairedDifference Compare(const Assignment& a, const Assignment& b,
                           const std::vector<int32_t>& samples) const;

  // The difference of their fitness over those of `samples` that they share.
  PairedDifference Contest(const Assignment& a, const Assignment& b,
                           const std::vector<int32_t>& samples) const;

  // Everything, by assignment and sample.
  const std::map<Assignment, std::map<int32_t, double>>& values() const {
    return values_;
  }
  // Of the domain that `sample` is of: its weight against the mean of all.
  double WeightOf(int32_t sample) const;

  nlohmann::json Save() const;
  // DataLoss unless every assignment lies in `space`.
  absl::Status Load(const SearchSpace& space, const nlohmann::json& saved);

 private:
  struct Shared {
    std::vector<size_t> domains;  // of each sample that both have
    std::vector<double> a, b;     // their values
  };
  Shared Share(const Assignment& a, const Assignment& b,
               const std::vector<int32_t>& samples) const;
  std::vector<std::optional<double>> Means(
      const std::vector<size_t>& domains,
      const std::vector<double>& values) const;
  PairedDifference Summarize(const Shared& shared,
                             const std::vector<double>& of_a,
                             const std::vector<double>& of_b) const;

  SampleDomains domains_;
  std::map<Assignment, std::map<int32_t, double>> values_;
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_MEASURED_H_
