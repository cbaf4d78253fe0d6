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

PairedDifference Summarize(const std::vector<double>& differences) {
  PairedDifference found;
  found.samples = static_cast<int>(differences.size());
  if (differences.empty()) return found;
  for (double difference : differences) found.mean += difference;
  found.mean /= found.samples;
  if (!std::isfinite(found.mean)) {
    found.mean = kInfinity;
    return found;
  }
  if (found.samples < 2) return found;
  for (double difference : differences) {
    found.variance += (difference - found.mean) * (difference - found.mean);
  }
  found.variance /= found.samples - 1;
  return found;
}

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
  double sum = 0;
  for (int32_t sample : samples) {
    const auto value = row->second.find(sample);
    if (value == row->second.end()) return kInfinity;
    sum += value->second;
  }
  return sum / static_cast<double>(samples.size());
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
  const auto of_a = values_.find(a);
  const auto of_b = values_.find(b);
  std::vector<double> differences;
  if (of_a == values_.end() || of_b == values_.end()) return {};
  for (int32_t sample : samples) {
    const auto left = of_a->second.find(sample);
    const auto right = of_b->second.find(sample);
    if (left == of_a->second.end() || right == of_b->second.end()) continue;
    differences.push_back(left->second - right->second);
  }
  return Summarize(differences);
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
