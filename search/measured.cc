#include "search/measured.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "search/digest.h"

namespace evopress::search {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

void Measured::Add(const Round& round, const RoundResults& results,
                   Metric metric) {
  for (size_t i = 0; i < round.evaluations.size(); ++i) {
    const Evaluation& evaluation = round.evaluations[i];
    std::map<int32_t, double>& row = values_[evaluation.assignment];
    for (size_t s = 0; s < evaluation.samples.size(); ++s) {
      row.emplace(evaluation.samples[s], MeanMetric({results[i][s]}, metric));
    }
  }
}

void Measured::Add(const Archive& archive, Metric metric,
                   const std::vector<int32_t>& without) {
  for (const auto& [assignment, sums] : archive) {
    for (const auto& [sample, measured] : sums) {
      if (std::find(without.begin(), without.end(), sample) != without.end()) {
        continue;
      }
      values_[assignment].emplace(sample, MeanMetric({measured}, metric));
    }
  }
}

double Measured::Mean(const Assignment& assignment,
                      const std::vector<int32_t>& samples) const {
  const auto row = values_.find(assignment);
  if (row == values_.end() || samples.empty()) return kInfinity;
  std::vector<size_t> domains;
  std::vector<double> values;
  for (int32_t sample : samples) {
    const auto value = row->second.find(sample);
    if (value == row->second.end()) return kInfinity;
    domains.push_back(domains_.Of(sample));
    values.push_back(value->second);
  }
  return domains_.Fitness(Means(domains, values));
}

std::vector<int32_t> Measured::Missing(
    const Assignment& assignment, const std::vector<int32_t>& samples) const {
  const auto row = values_.find(assignment);
  std::vector<int32_t> missing;
  for (int32_t sample : samples) {
    if (row == values_.end() || row->second.count(sample) == 0) {
      missing.push_back(sample);
    }
  }
  return missing;
}

PairedDifference Measured::Compare(const Assignment& a,
                                   const Assignment& b) const {
  const auto row = values_.find(a);
  std::vector<int32_t> samples;
  if (row != values_.end()) {
    for (const auto& [sample, value] : row->second) samples.push_back(sample);
  }
  return Compare(a, b, samples);
}

PairedDifference Measured::Compare(const Assignment& a, const Assignment& b,
                                   const std::vector<int32_t>& samples) const {
  const Shared shared = Share(a, b, samples);
  const std::vector<double> weights =
      domains_.Weights(Means(shared.domains, shared.a));
  return Summarize(shared, weights, weights);
}

PairedDifference Measured::Contest(const Assignment& a, const Assignment& b,
                                   const std::vector<int32_t>& samples) const {
  const Shared shared = Share(a, b, samples);
  return Summarize(shared, domains_.Influence(Means(shared.domains, shared.a)),
                   domains_.Influence(Means(shared.domains, shared.b)));
}

double Measured::WeightOf(int32_t sample) const {
  return domains_[domains_.Of(sample)].weight *
         static_cast<double>(domains_.size());
}

Measured::Shared Measured::Share(const Assignment& a, const Assignment& b,
                                 const std::vector<int32_t>& samples) const {
  Shared shared;
  const auto of_a = values_.find(a);
  const auto of_b = values_.find(b);
  if (of_a == values_.end() || of_b == values_.end()) return shared;
  for (int32_t sample : samples) {
    const auto left = of_a->second.find(sample);
    const auto right = of_b->second.find(sample);
    if (left == of_a->second.end() || right == of_b->second.end()) continue;
    shared.domains.push_back(domains_.Of(sample));
    shared.a.push_back(left->second);
    shared.b.push_back(right->second);
  }
  return shared;
}

std::vector<std::optional<double>> Measured::Means(
    const std::vector<size_t>& domains,
    const std::vector<double>& values) const {
  std::vector<double> sums(domains_.size(), 0);
  std::vector<int> counts(domains_.size(), 0);
  for (size_t i = 0; i < values.size(); ++i) {
    sums[domains[i]] += values[i];
    ++counts[domains[i]];
  }
  std::vector<std::optional<double>> means(domains_.size());
  for (size_t d = 0; d < means.size(); ++d) {
    if (counts[d] > 0) means[d] = sums[d] / counts[d];
  }
  return means;
}

// Each sample's difference is weighted so that their plain mean is the
// difference of the fitness.
PairedDifference Measured::Summarize(const Shared& shared,
                                     const std::vector<double>& of_a,
                                     const std::vector<double>& of_b) const {
  PairedDifference found;
  found.samples = static_cast<int>(shared.domains.size());
  if (found.samples == 0) return found;
  std::vector<int> counts(domains_.size(), 0);
  for (size_t domain : shared.domains) ++counts[domain];
  std::vector<double> differences;
  for (size_t i = 0; i < shared.domains.size(); ++i) {
    const size_t d = shared.domains[i];
    const double stretch =
        static_cast<double>(found.samples) / static_cast<double>(counts[d]);
    differences.push_back(stretch * of_a[d] * shared.a[i] -
                          stretch * of_b[d] * shared.b[i]);
    found.mean += differences.back();
  }
  found.mean /= found.samples;
  if (!std::isfinite(found.mean)) {
    found.mean = kInfinity;
    return found;
  }
  const auto strata = static_cast<int>(
      std::count_if(counts.begin(), counts.end(), [](int c) { return c > 0; }));
  const bool within = found.samples > strata;
  const int freedom = found.samples - (within ? strata : 1);
  if (freedom < 1) return found;
  const std::vector<std::optional<double>> means =
      Means(shared.domains, differences);
  for (size_t i = 0; i < differences.size(); ++i) {
    const double center = within ? *means[shared.domains[i]] : found.mean;
    found.variance += (differences[i] - center) * (differences[i] - center);
  }
  found.variance /= freedom;
  return found;
}

nlohmann::json Measured::Save() const {
  nlohmann::json saved = nlohmann::json::array();
  for (const auto& [assignment, row] : values_) {
    nlohmann::json values = nlohmann::json::array();
    for (const auto& [sample, value] : row) {
      values.push_back({sample, Bits(value)});
    }
    saved.push_back({{"levels", assignment.levels}, {"values", values}});
  }
  return saved;
}

absl::Status Measured::Load(const SearchSpace& space,
                            const nlohmann::json& saved) {
  values_.clear();
  for (const nlohmann::json& entry : saved) {
    Assignment assignment{entry.at("levels").get<std::vector<uint16_t>>()};
    if (!Validate(space, assignment).ok()) {
      return absl::DataLossError(
          "snapshot holds a measured assignment outside the space");
    }
    std::map<int32_t, double>& row = values_[std::move(assignment)];
    for (const nlohmann::json& value : entry.at("values")) {
      row[value.at(0).get<int32_t>()] = FromBits(value.at(1).get<uint64_t>());
    }
  }
  return absl::OkStatus();
}

}  // namespace evopress::search
