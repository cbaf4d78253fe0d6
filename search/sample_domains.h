// Calibration samples of several domains ("c4", "code"): how sets of them are
// drawn in proportion, and what a candidate's fitness over them is.
//
// Every set is drawn by strata: how many samples each domain gives depends on
// weights and the size of the set alone, so that chance decides which samples
// are taken but never how much a domain counts.
#ifndef EVOPRESS_SEARCH_SAMPLE_DOMAINS_H_
#define EVOPRESS_SEARCH_SAMPLE_DOMAINS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "search/rng.h"
#include "search/strategy.h"

namespace evopress::search {

inline constexpr size_t kMaxDomains = 64;

// The domain of each of `count` samples: first each domain once, then always
// the one furthest behind its weight (Sainte-Laguë), so that every longer order
// begins with the shorter ones. REQUIRES: positive, finite weights.
std::vector<size_t> DomainOrder(const std::vector<double>& weights,
                                int32_t count);

// A plain value; thread-safe once made. Without domains: all samples are of
// one.
class SampleDomains {
 public:
  SampleDomains() : SampleDomains(0, {}, DomainFitness::kMean) {}
  // REQUIRES: CheckDomains().
  SampleDomains(int32_t num_samples, std::vector<SampleDomain> domains,
                DomainFitness fitness);
  explicit SampleDomains(const StrategyInput& input)
      : SampleDomains(input.num_samples, input.domains, input.domain_fitness) {}

  size_t size() const { return domains_.size(); }
  const SampleDomain& operator[](size_t domain) const {
    return domains_[domain];
  }
  // True if the fitness compares domains, so that each needs a scale.
  bool relative() const {
    return size() > 1 && fitness_ == DomainFitness::kWorst;
  }

  size_t Of(int32_t sample) const;
  int32_t begin(size_t domain) const { return begins_[domain]; }

  // Samples that each domain gives to a set of `count`.
  std::vector<int32_t> Shares(int32_t count) const;
  // InvalidArgument, beginning with `what`, unless sets of `counts` samples can
  // be drawn apart from each other, each with a sample of every domain.
  absl::Status CheckSets(const std::string& what,
                         const std::vector<int32_t>& counts) const;
  // counts[d] different samples of each domain d, in rising order.
  std::vector<int32_t> Draw(const std::vector<int32_t>& counts, Rng& rng) const;

  // Mean per position by domain; unset where none of `samples` is of it.
  std::vector<std::optional<double>> Means(const std::vector<int32_t>& samples,
                                           const std::vector<SampleSums>& sums,
                                           Metric metric) const;
  // Fitness of means by domain, over those that are there. +infinity if one of
  // them is not finite or none is there.
  double Fitness(const std::vector<std::optional<double>>& means) const;
  // How much each domain's mean counts for that fitness; they sum to 1.
  std::vector<double> Influence(
      const std::vector<std::optional<double>>& means) const;
  // The same for a comparison that must add up: by weight, whatever the
  // fitness.
  std::vector<double> Weights(
      const std::vector<std::optional<double>>& means) const;

  // sums / scales of the sample's domain, metric by metric. `scales` as from
  // Scales(), one a domain.
  std::vector<SampleSums> Relative(const std::vector<int32_t>& samples,
                                   const std::vector<SampleSums>& sums,
                                   const std::vector<SampleSums>& scales) const;
  // Means per position by domain. Where one is no positive number, 1: there
  // is nothing to compare with.
  std::vector<SampleSums> Scales(const std::vector<int32_t>& samples,
                                 const std::vector<SampleSums>& sums) const;

 private:
  std::vector<SampleDomain> domains_;  // weights sum to 1
  std::vector<int32_t> begins_;        // first sample of each
  DomainFitness fitness_;
};

// InvalidArgument unless there are none or 2…kMaxDomains domains of the input,
// whose samples are all samples, with positive finite weights.
absl::Status CheckDomains(const StrategyInput& input);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_SAMPLE_DOMAINS_H_
