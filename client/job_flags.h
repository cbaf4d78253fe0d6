// The command line of a search, shared by every command that makes jobs.
#ifndef EVOPRESS_CLIENT_JOB_FLAGS_H_
#define EVOPRESS_CLIENT_JOB_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "client/export_job.h"
#include "client/space_builder.h"
#include "search/strategy_options.h"

namespace evopress::client {

// Model and texts.
struct DataFlags {
  std::string model;
  std::string text;                      // calibration, if on one text
  std::vector<std::string> calibration;  // "[name=]FILE[:WEIGHT]", else
  std::string domain_fitness = "mean";   // or "worst"
  std::vector<std::string> held_out;     // "name=FILE" or FILE
  int32_t sequence_length = 1024;
  int64_t statistics_tokens = 65536;
  int64_t search_tokens = 0;  // 0: as much as the text gives, up to a default
  int64_t held_out_tokens = 65536;
};

// Tokens of each stage.
inline const std::vector<int64_t> kDefaultTokens = {1024, 2048, 8192};

struct StrategyFlags {
  std::string strategy = "guided";
  int32_t generations = 30;
  int32_t offspring = 32;
  std::vector<int32_t> survivors = {8, 2, 1};
  std::vector<int64_t> tokens = kDefaultTokens;
  int32_t races = 12;
  int32_t candidates = 16;
  int64_t decision_tokens = 8192;
  std::vector<std::string> anchors;  // sources, see assignment_source.h
  int64_t max_tokens = 0;            // 0: no bound
  double learning_rate = search::PolicyGradientOptions{}.learning_rate;
  double mutation_rate = search::SubnetGaOptions{}.mutation_rate;
  std::optional<int32_t> parents;     // unset: half of the offspring
  std::optional<int32_t> crossovers;  // unset: a quarter of the offspring
  double owl_lambda = search::OwlOptions{}.lambda;
  std::string fitness = "kl";
  uint64_t seed = 1;
  // Those of FlagsOfStrategies() (strategy_flags.h) that the user gave.
  std::vector<std::string> given;
};

struct JobFlags {
  DataFlags data;
  StrategyFlags strategy;
  std::string menu = "gptq:2-6:g64:actorder:search";
  std::string group = "none";
  std::vector<std::string> ties;         // "PATTERN,PATTERN"
  std::string drop;                      // "attn,mlp", "block"
  std::string outer;                     // "embed,head"
  std::vector<std::string> cost_tables;  // files, see cost_table.h
  BudgetOptions budget;
  double max_hours = 0;           // 0: no bound
  std::vector<std::string> from;  // jobs or results to start from
  std::string display_name;
  int priority = 0;
};

// Where the work is done.
struct LocalFlags {
  int workers = 1;
  int threads = 0;
  std::string memory = "4GiB";
  std::string data_dir;
  std::string evaluator;
};

void AddDataFlags(CLI::App& app, DataFlags& flags);
void AddMenuFlags(CLI::App& app, JobFlags& flags);
void AddJobFlags(CLI::App& app, JobFlags& flags);
void AddLocalFlags(CLI::App& app, LocalFlags& flags);
// How a finished job is written; --out is the command's own.
void AddExportFlags(CLI::App& app, ExportOptions& options);
void AddJsonFlag(CLI::App& app, bool& json);

// The strategy that the flags ask for. InvalidArgument names flag, value and
// limit, e.g. tokens that are no multiple of the sequence length, or a given
// flag that is another strategy's.
absl::StatusOr<search::StrategyOptions> ToStrategyOptions(
    const StrategyFlags& flags, int32_t sequence_length);

// "kl", "topk-kl" or "ppl".
absl::StatusOr<search::Metric> ParseMetric(const std::string& text);

// Tokens that a search measures, and the flag that says so.
struct SearchNeed {
  std::string flag;
  int64_t tokens = 0;
};

// What the strategy measures apart from each other: what the search set must
// hold at least.
std::vector<SearchNeed> NeededTokens(const StrategyFlags& flags);

// Raises the default of --tokens where its stages would be too small for a
// sequence of each of `domains` calibration texts, and says so; empty if it
// need not.
std::string RaiseDefaultTokens(size_t domains, int32_t sequence_length,
                               StrategyFlags& flags);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_JOB_FLAGS_H_
