// What came out of a job: one row a candidate, for people and as JSON.
#ifndef EVOPRESS_CLIENT_RESULT_TABLE_H_
#define EVOPRESS_CLIENT_RESULT_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/statistics_table.h"
#include "evopress/v1/jobs.pb.h"
#include "nlohmann/json.hpp"

namespace evopress::client {

// A candidate on one held-out text. Ratios and differences are to the table's
// baseline, paired by sequence; absent for the baseline itself.
struct DomainResult {
  std::string domain;
  std::optional<Estimate> kl;   // nats per token, to the reference
  std::optional<Estimate> nll;  // perplexity = exp(mean)
  std::optional<Interval> kl_ratio;
  std::optional<Interval> nll_difference;
};

struct ResultRow {
  std::string name;
  std::vector<int64_t> costs;  // one a cost kind; empty for the reference
  std::optional<double> fitness;
  std::vector<DomainResult> domains;
};

struct ResultTable {
  std::vector<std::string> cost_kinds;
  int64_t weights = 0;   // of the searched layers
  std::string baseline;  // name of the row that others are compared with
  std::vector<ResultRow> rows;
};

// InvalidArgument for a job whose results make no sense. The baseline is the
// row called `baseline`, by default the first whose name begins "uniform".
absl::StatusOr<ResultTable> MakeResultTable(const v1::Job& job,
                                            const std::string& baseline = "");

// Lines for a terminal.
std::string FormatTable(const ResultTable& table, bool bold);

nlohmann::json ToJson(const ResultTable& table);

// "BUILDING" -> "building".
std::string StateName(v1::Job::State state);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_RESULT_TABLE_H_
