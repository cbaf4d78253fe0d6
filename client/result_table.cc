#include "client/result_table.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/space_builder.h"
#include "client/text_table.h"
#include "proto/conversions.h"

namespace evopress::client {
namespace {

using Sums = std::vector<search::SampleSums>;

constexpr char kUniform[] = "uniform";

absl::StatusOr<Sums> ToSums(const v1::Candidate::Domain& domain) {
  Sums sums;
  for (const auto& message : domain.sums()) {
    auto converted = proto::FromProto(message);
    if (!converted.ok()) return converted.status();
    sums.push_back(*converted);
  }
  return sums;
}

const v1::Candidate::Domain* FindDomain(const v1::Candidate* candidate,
                                        const std::string& domain) {
  if (candidate == nullptr) return nullptr;
  for (const auto& other : candidate->held_out()) {
    if (other.domain() == domain) return &other;
  }
  return nullptr;
}

// What `candidate` is compared with; null for the baseline itself.
const v1::Candidate* FindBaseline(const v1::Job& job,
                                  const v1::Candidate& candidate,
                                  const std::string& baseline) {
  const v1::Target* target = nullptr;
  for (const v1::Target& each : job.spec().targets()) {
    if (each.name() == candidate.target()) target = &each;
  }
  // Uniform rows of different budgets have nothing to be compared with.
  if (!job.spec().targets().empty() && target == nullptr) return nullptr;
  const v1::Candidate* base = nullptr;
  for (const v1::Candidate& other : job.results()) {
    const bool wanted = baseline.empty()
                            ? absl::StartsWith(other.name(), kUniform)
                            : other.name() == baseline;
    if (!wanted) continue;
    if (target == nullptr) {
      base = &other;
      break;
    }
    const int kind = job.spec().space().budgets(0).kind();
    if (kind >= other.costs_size() || other.costs(kind) > target->limit()) {
      continue;
    }
    if (base == nullptr || other.costs(kind) > base->costs(kind)) {
      base = &other;
    }
  }
  return base == &candidate ? nullptr : base;
}

std::string WithError(const std::optional<Estimate>& estimate) {
  if (!estimate.has_value()) return "-";
  std::string text = FormatFixed(estimate->mean, 4);
  if (estimate->standard_error.has_value()) {
    absl::StrAppend(&text, " ± ", FormatFixed(*estimate->standard_error, 4));
  }
  return text;
}

std::string WithRange(const std::optional<Interval>& interval) {
  if (!interval.has_value()) return "";
  std::string text = FormatFixed(interval->value, 3);
  if (interval->low.has_value() && interval->high.has_value()) {
    absl::StrAppend(&text, " [", FormatFixed(*interval->low, 3), ", ",
                    FormatFixed(*interval->high, 3), "]");
  }
  return text;
}

// Nullopt for the reference and for jobs that do not count them.
std::optional<int64_t> Nonzeros(const ResultTable& table,
                                const ResultRow& row) {
  const auto kind = std::find(table.cost_kinds.begin(), table.cost_kinds.end(),
                              kNonzerosName);
  const auto index = static_cast<size_t>(kind - table.cost_kinds.begin());
  if (index >= row.costs.size()) return std::nullopt;
  return row.costs[index];
}

nlohmann::json Number(double value) {
  if (!std::isfinite(value)) return nullptr;
  return value;
}

nlohmann::json ToJson(const std::optional<Estimate>& estimate) {
  if (!estimate.has_value()) return nullptr;
  nlohmann::json json = {{"mean", Number(estimate->mean)},
                         {"standard_error", nullptr},
                         {"sequences", estimate->sequences},
                         {"positions", estimate->positions}};
  if (estimate->standard_error.has_value()) {
    json["standard_error"] = Number(*estimate->standard_error);
  }
  return json;
}

nlohmann::json ToJson(const std::optional<Interval>& interval) {
  if (!interval.has_value()) return nullptr;
  nlohmann::json json = {{"value", Number(interval->value)},
                         {"low", nullptr},
                         {"high", nullptr},
                         {"level", 0.95}};
  if (interval->low.has_value()) json["low"] = Number(*interval->low);
  if (interval->high.has_value()) json["high"] = Number(*interval->high);
  return json;
}

}  // namespace

absl::StatusOr<ResultTable> MakeResultTable(const v1::Job& job,
                                            const std::string& baseline) {
  ResultTable table;
  for (const auto& kind : job.spec().space().cost_kinds()) {
    table.cost_kinds.push_back(kind.name());
  }
  for (const auto& unit : job.spec().space().units()) {
    table.weights += unit.weights();
  }
  const bool several = !job.spec().targets().empty();
  for (const auto& candidate : job.results()) {
    ResultRow row;
    row.name = candidate.name();
    row.target = candidate.target();
    row.anchor = candidate.anchor();
    const v1::Candidate* base = FindBaseline(job, candidate, baseline);
    if (base != nullptr) {
      row.baseline = base->name();
      table.baseline = several ? kUniform : base->name();
    }
    row.costs.assign(candidate.costs().begin(), candidate.costs().end());
    const bool won = candidate.name() == "winner" || !row.target.empty();
    const bool measured = won && std::isfinite(candidate.fitness());
    if (measured) row.fitness = candidate.fitness();
    for (const auto& domain : candidate.held_out()) {
      auto sums = ToSums(domain);
      if (!sums.ok()) return sums.status();
      DomainResult result;
      result.domain = domain.domain();
      result.kl = EstimateMean(*sums, search::Metric::kKl);
      result.nll = EstimateMean(*sums, search::Metric::kNll);
      const v1::Candidate::Domain* other = FindDomain(base, domain.domain());
      if (other != nullptr) {
        auto base_sums = ToSums(*other);
        if (!base_sums.ok()) return base_sums.status();
        if (candidate.name() != "reference") {
          result.kl_ratio = PairedRatio(*sums, *base_sums, search::Metric::kKl);
        }
        result.nll_difference =
            PairedDifference(*sums, *base_sums, search::Metric::kNll);
      }
      row.domains.push_back(std::move(result));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string FoundBy(const ResultRow& row) {
  return row.anchor.empty() ? "search" : row.anchor;
}

std::string FormatTable(const ResultTable& table, bool bold) {
  std::vector<std::string> headers = {"name", ">code bits/weight",
                                      ">stored bits/weight", ">bytes"};
  const bool pruned = std::any_of(
      table.rows.begin(), table.rows.end(), [&](const ResultRow& row) {
        return Nonzeros(table, row).value_or(table.weights) < table.weights;
      });
  if (pruned) headers.push_back(">zeros");
  std::vector<size_t> counts;  // kinds that are told as they are
  for (size_t k = kModelBits + 1; k < table.cost_kinds.size(); ++k) {
    if (table.cost_kinds[k] == kNonzerosName) continue;
    counts.push_back(k);
    headers.push_back(absl::StrCat(">", table.cost_kinds[k]));
  }
  const bool several =
      std::any_of(table.rows.begin(), table.rows.end(),
                  [](const ResultRow& row) { return !row.target.empty(); });
  if (several) headers.push_back("found by");
  const size_t costs = headers.size();
  headers.insert(headers.end(), {"text", ">KL ± s.e.", ">perplexity"});
  if (!table.baseline.empty()) {
    headers.push_back(absl::StrCat(">KL / ", table.baseline, " [95 %]"));
  }
  TextTable text(headers);
  for (const ResultRow& row : table.rows) {
    std::vector<std::string> first(costs);
    first[0] = row.name;
    const double weights =
        static_cast<double>(std::max<int64_t>(1, table.weights));
    if (row.costs.size() >= 2) {
      first[1] = FormatFixed(static_cast<double>(row.costs[0]) / weights, 4);
      first[2] = FormatFixed(static_cast<double>(row.costs[1]) / weights, 4);
      first[3] = FormatCount((row.costs[1] + 7) / 8);
    }
    size_t cell = 4;
    if (const auto nonzeros = Nonzeros(table, row); pruned && nonzeros) {
      const auto zeros = static_cast<double>(table.weights - *nonzeros);
      first[cell] = absl::StrCat(FormatFixed(100 * zeros / weights, 2), " %");
    }
    cell += pruned;
    for (size_t k : counts) {
      if (k < row.costs.size()) first[cell] = FormatCount(row.costs[k]);
      ++cell;
    }
    if (!row.target.empty()) first[cell] = FoundBy(row);
    if (row.domains.empty()) text.AddRow(first);
    for (const DomainResult& domain : row.domains) {
      std::vector<std::string> cells = first;
      cells.push_back(domain.domain);
      cells.push_back(WithError(domain.kl));
      cells.push_back(domain.nll.has_value()
                          ? FormatFixed(std::exp(domain.nll->mean), 3)
                          : "-");
      cells.push_back(WithRange(domain.kl_ratio));
      text.AddRow(cells);
      first.assign(costs, "");
    }
  }
  return absl::StrCat(text.Format(bold),
                      "Bits per weight and bytes are of the ",
                      FormatCount(table.weights),
                      " weights of the searched layers; KL in nats per token "
                      "to the uncompressed model.\n");
}

nlohmann::json ToJson(const ResultTable& table) {
  nlohmann::json rows = nlohmann::json::array();
  for (const ResultRow& row : table.rows) {
    nlohmann::json out = {{"name", row.name}, {"fitness", nullptr}};
    if (row.fitness.has_value()) out["fitness"] = Number(*row.fitness);
    if (!row.target.empty()) out["target"] = row.target;
    if (!row.anchor.empty()) out["anchor"] = row.anchor;
    if (!row.baseline.empty()) out["baseline"] = row.baseline;
    nlohmann::json costs = nlohmann::json::object();
    nlohmann::json per_weight = nlohmann::json::object();
    for (size_t k = 0; k < row.costs.size() && k < table.cost_kinds.size();
         ++k) {
      costs[table.cost_kinds[k]] = row.costs[k];
      per_weight[table.cost_kinds[k]] =
          Number(static_cast<double>(row.costs[k]) /
                 static_cast<double>(std::max<int64_t>(1, table.weights)));
    }
    out["costs"] = costs;
    out["bits_per_weight"] = per_weight;
    nlohmann::json domains = nlohmann::json::array();
    for (const DomainResult& domain : row.domains) {
      nlohmann::json perplexity = nullptr;
      nlohmann::json ratio = nullptr;
      if (domain.nll.has_value()) {
        perplexity = Number(std::exp(domain.nll->mean));
      }
      if (domain.nll_difference.has_value()) {
        Interval as_ratio = *domain.nll_difference;
        as_ratio.value = std::exp(as_ratio.value);
        if (as_ratio.low) as_ratio.low = std::exp(*as_ratio.low);
        if (as_ratio.high) as_ratio.high = std::exp(*as_ratio.high);
        ratio = ToJson(std::optional<Interval>(as_ratio));
      }
      domains.push_back({{"domain", domain.domain},
                         {"kl", ToJson(domain.kl)},
                         {"nll", ToJson(domain.nll)},
                         {"perplexity", perplexity},
                         {"kl_ratio_to_baseline", ToJson(domain.kl_ratio)},
                         {"perplexity_ratio_to_baseline", ratio}});
    }
    out["held_out"] = domains;
    rows.push_back(out);
  }
  return {{"searched_weights", table.weights},
          {"baseline", table.baseline.empty() ? nlohmann::json(nullptr)
                                              : nlohmann::json(table.baseline)},
          {"rows", rows}};
}

std::string StateName(v1::Job::State state) {
  return absl::AsciiStrToLower(v1::Job::State_Name(state));
}

}  // namespace evopress::client
