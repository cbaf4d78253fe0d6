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

// A candidate on one held-out text. Ratios and differences are to the row's
// baseline, paired by sequence; absent where there is none.
struct DomainResult {
  std::string domain;
  std::optional<Estimate> kl;   // nats per token, to the reference
  std::optional<Estimate> nll;  // perplexity = exp(mean)
  std::optional<Interval> kl_ratio;
  std::optional<Interval> nll_difference;
};

struct ResultRow {
  std::string name;
  std::string target;          // which budget's winner this is, of several
  std::string anchor;          // the plain solution that won; empty: none
  std::string baseline;        // row that it is compared with; empty: none
  std::vector<int64_t> costs;  // one a cost kind; empty for the reference
  std::optional<double> fitness;
  std::vector<DomainResult> domains;
};

struct ResultTable {
  std::vector<std::string> cost_kinds;
  int64_t weights = 0;   // of the searched layers
  std::string baseline;  // what rows are compared with, for people
  std::vector<ResultRow> rows;
};

// InvalidArgument for a job whose results make no sense. The baseline is the
// row called `baseline`, by default the first whose name begins "uniform"; of
// several budgets each winner's is the dearest such row within its own.
absl::StatusOr<ResultTable> MakeResultTable(const v1::Job& job,
                                            const std::string& baseline = "");

// Of a winner: "search", or the plain solution that won.
std::string FoundBy(const ResultRow& row);

// Lines for a terminal.
std::string FormatTable(const ResultTable& table, bool bold);

nlohmann::json ToJson(const ResultTable& table);

// "BUILDING" -> "building".
std::string StateName(v1::Job::State state);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_RESULT_TABLE_H_
