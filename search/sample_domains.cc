#include "search/sample_domains.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"

namespace evopress::search {
namespace {

double PositiveOrOne(double value) {
  return std::isfinite(value) && value > 0 ? value : 1;
}

}  // namespace

std::vector<size_t> DomainOrder(const std::vector<double>& weights,
                                int32_t count) {
  std::vector<size_t> order;
  std::vector<double> given(weights.size(), 0);
  while (order.size() < static_cast<size_t>(std::max(count, 0))) {
    size_t next = order.size();
    if (next >= weights.size()) {
      next = 0;
      for (size_t d = 1; d < weights.size(); ++d) {
        if (weights[d] / (2 * given[d] + 1) >
            weights[next] / (2 * given[next] + 1)) {
          next = d;
        }
      }
    }
    ++given[next];
    order.push_back(next);
  }
  return order;
}

SampleDomains::SampleDomains(int32_t num_samples,
                             std::vector<SampleDomain> domains,
                             DomainFitness fitness)
    : domains_(std::move(domains)), fitness_(fitness) {
  if (domains_.empty()) domains_ = {{"", num_samples, 1}};
  double total = 0;
  for (const SampleDomain& domain : domains_) total += domain.weight;
  int32_t begin = 0;
  for (SampleDomain& domain : domains_) {
    domain.weight /= total;
    begins_.push_back(begin);
    begin += domain.samples;
  }
}

size_t SampleDomains::Of(int32_t sample) const {
  const auto behind =
      std::upper_bound(begins_.begin() + 1, begins_.end(), sample);
  return static_cast<size_t>(behind - begins_.begin()) - 1;
}

std::vector<int32_t> SampleDomains::Shares(int32_t count) const {
  std::vector<double> weights;
  for (const SampleDomain& domain : domains_) weights.push_back(domain.weight);
  std::vector<int32_t> shares(size(), 0);
  for (size_t domain : DomainOrder(weights, count)) ++shares[domain];
  return shares;
}

absl::Status SampleDomains::CheckSets(
    const std::string& what, const std::vector<int32_t>& counts) const {
  std::vector<int64_t> needed(size(), 0);
  for (int32_t count : counts) {
    if (count < static_cast<int64_t>(size())) {
      return absl::InvalidArgumentError(absl::StrCat(
          what, ": ", count, " samples are fewer than the ", size(),
          " calibration domains, of each of which every stage needs one; "
          "measure on more tokens or shorten the sequences"));
    }
    const std::vector<int32_t> shares = Shares(count);
    for (size_t d = 0; d < size(); ++d) needed[d] += shares[d];
  }
  for (size_t d = 0; d < size(); ++d) {
    if (needed[d] <= domains_[d].samples) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": needs ", needed[d], " samples of domain \"",
                     domains_[d].name, "\", which has ", domains_[d].samples,
                     "; lower it or calibrate on more of that domain"));
  }
  return absl::OkStatus();
}

std::vector<int32_t> SampleDomains::Draw(const std::vector<int32_t>& counts,
                                         Rng& rng) const {
  std::vector<int32_t> samples;
  for (size_t d = 0; d < size(); ++d) {
    for (int32_t drawn :
         rng.SampleWithoutReplacement(domains_[d].samples, counts[d])) {
      samples.push_back(begins_[d] + drawn);
    }
  }
  std::sort(samples.begin(), samples.end());
  return samples;
}

std::vector<std::optional<double>> SampleDomains::Means(
    const std::vector<int32_t>& samples, const std::vector<SampleSums>& sums,
    Metric metric) const {
  std::vector<std::vector<SampleSums>> parts(size());
  for (size_t s = 0; s < samples.size(); ++s) {
    parts[Of(samples[s])].push_back(sums[s]);
  }
  std::vector<std::optional<double>> means(size());
  for (size_t d = 0; d < size(); ++d) {
    if (!parts[d].empty()) means[d] = MeanMetric(parts[d], metric);
  }
  return means;
}

double SampleDomains::Fitness(
    const std::vector<std::optional<double>>& means) const {
  const std::vector<double> influence = Influence(means);
  double fitness = 0;
  bool any = false;
  for (size_t d = 0; d < size(); ++d) {
    if (!means[d].has_value()) continue;
    if (!std::isfinite(*means[d])) {
      return std::numeric_limits<double>::infinity();
    }
    fitness += influence[d] * *means[d];
    any = true;
  }
  return any ? fitness : std::numeric_limits<double>::infinity();
}

std::vector<double> SampleDomains::Influence(
    const std::vector<std::optional<double>>& means) const {
  if (fitness_ == DomainFitness::kMean) return Weights(means);
  std::vector<double> influence(size(), 0);
  std::optional<size_t> worst;
  for (size_t d = 0; d < size(); ++d) {
    if (means[d].has_value() && (!worst || *means[d] > *means[*worst])) {
      worst = d;
    }
  }
  if (worst.has_value()) influence[*worst] = 1;
  return influence;
}

std::vector<double> SampleDomains::Weights(
    const std::vector<std::optional<double>>& means) const {
  double total = 0;
  for (size_t d = 0; d < size(); ++d) {
    if (means[d].has_value()) total += domains_[d].weight;
  }
  std::vector<double> weights(size(), 0);
  for (size_t d = 0; d < size(); ++d) {
    if (means[d].has_value()) weights[d] = domains_[d].weight / total;
  }
  return weights;
}

std::vector<SampleSums> SampleDomains::Relative(
    const std::vector<int32_t>& samples, const std::vector<SampleSums>& sums,
    const std::vector<SampleSums>& scales) const {
  std::vector<SampleSums> relative = sums;
  for (size_t s = 0; s < samples.size(); ++s) {
    const SampleSums& scale = scales[Of(samples[s])];
    relative[s].kl /= scale.kl;
    relative[s].topk_kl /= scale.topk_kl;
    relative[s].nll /= scale.nll;
  }
  return relative;
}

std::vector<SampleSums> SampleDomains::Scales(
    const std::vector<int32_t>& samples,
    const std::vector<SampleSums>& sums) const {
  std::vector<SampleSums> scales(size());
  const auto kl = Means(samples, sums, Metric::kKl);
  const auto topk_kl = Means(samples, sums, Metric::kTopKKl);
  const auto nll = Means(samples, sums, Metric::kNll);
  for (size_t d = 0; d < size(); ++d) {
    scales[d] = {PositiveOrOne(kl[d].value_or(1)),
                 PositiveOrOne(topk_kl[d].value_or(1)),
                 PositiveOrOne(nll[d].value_or(1)), 1};
  }
  return scales;
}

absl::Status CheckDomains(const StrategyInput& input) {
  const std::vector<SampleDomain>& domains = input.domains;
  if (domains.empty()) return absl::OkStatus();
  if (domains.size() < 2 || domains.size() > kMaxDomains) {
    return absl::InvalidArgumentError(
        absl::StrCat(domains.size(), " calibration domains; 2 to ", kMaxDomains,
                     " are possible, or none said for one"));
  }
  int64_t samples = 0;
  double total = 0;
  for (const SampleDomain& domain : domains) {
    if (!std::isfinite(domain.weight) || !(domain.weight > 0)) {
      return absl::InvalidArgumentError(
          absl::StrCat("weight ", domain.weight, " of calibration domain \"",
                       domain.name, "\" must be positive and finite"));
    }
    if (domain.samples < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("calibration domain \"", domain.name, "\" has ",
                       domain.samples, " samples and must have at least 1"));
    }
    samples += domain.samples;
    total += domain.weight;
  }
  if (!std::isfinite(total)) {
    return absl::InvalidArgumentError(
        "the weights of the calibration domains are too large to be added");
  }
  if (samples != input.num_samples) {
    return absl::InvalidArgumentError(
        absl::StrCat("the calibration domains have ", samples,
                     " samples together; the set has ", input.num_samples));
  }
  return absl::OkStatus();
}

}  // namespace evopress::search
