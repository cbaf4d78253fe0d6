#include "client/forecast.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "client/job_text.h"
#include "client/space_builder.h"
#include "client/targets.h"
#include "client/text_table.h"
#include "proto/conversions.h"
#include "search/budget.h"
#include "search/strategy_options.h"
#include "search/uniform.h"
#include "server/level_build.h"

namespace evopress::client {
namespace {

constexpr absl::Duration kRehearsalPatience = absl::Seconds(20);

const v1::TokenSetRef* FindSet(const v1::JobSpec& spec,
                               v1::TokenSetRef::Role role) {
  for (const v1::TokenSetRef& set : spec.data()) {
    if (set.role() == role) return &set;
  }
  return nullptr;
}

// What the budget leaves for a weight of the searched layers, in bits.
std::optional<double> BitsPerWeight(const search::SearchSpace& space,
                                    const search::Budget& budget) {
  const int64_t weights = TotalWeights(space);
  if (!IsBits(budget.kind) || weights == 0) return std::nullopt;
  return static_cast<double>(budget.limit - space.constant_costs[budget.kind]) /
         static_cast<double>(weights);
}

std::string GainUnlikely(const search::SearchSpace& space) {
  if (space.budgets.empty()) return "";
  if (search::WithinBudgets(space, search::Dearest(space))) {
    return "the budget binds nothing: every layer can take its dearest level";
  }
  std::optional<double> tightest;
  for (const search::Budget& budget : space.budgets) {
    const std::optional<double> bits = BitsPerWeight(space, budget);
    if (!bits.has_value()) return "";
    tightest = std::min(*bits, tightest.value_or(*bits));
  }
  if (*tightest < kHighBits) return "";
  return absl::StrFormat(
      "the budget leaves %.3g bits per weight; from %g on, uniform and dp "
      "usually do as well (rule: every budget at %g bits per weight of the "
      "searched layers or more)",
      *tightest, kHighBits, kHighBits);
}

absl::StatusOr<search::StrategyInput> InputOf(const JobPlan& plan) {
  search::StrategyInput input;
  input.space = plan.space;
  input.targets = plan.targets;
  input.archive = plan.archive;
  proto::ReadSamples(plan.spec, input);
  return input;
}

double TaskSeconds(const TaskWork& task, const EngineSpeed& speed) {
  return speed.block * task.block_tokens +
         speed.loss * static_cast<double>(task.tokens) +
         speed.reference * static_cast<double>(task.new_tokens);
}

// Winner, the assignments beside it and the reference, which part at once.
std::vector<TaskWork> ReportWork(const v1::JobSpec& spec) {
  std::vector<TaskWork> work;
  for (const v1::TokenSetRef& set : spec.data()) {
    if (set.role() != v1::TokenSetRef::HELD_OUT) continue;
    TaskWork task;
    task.new_tokens = int64_t{set.sequences()} * set.length();
    const int winners = std::max(1, spec.targets_size());
    task.tokens = (winners + spec.report_size() + 1) * task.new_tokens;
    task.block_tokens = static_cast<double>(task.tokens);
    work.push_back(task);
  }
  return work;
}

// The deadline cuts the search short, nothing else.
void ApplyDeadline(const v1::JobSpec& spec, Forecast& forecast) {
  if (!forecast.search_seconds.has_value() || !spec.limits().has_max_time()) {
    return;
  }
  const double left =
      Seconds(spec.limits().max_time()) - forecast.build_seconds.value_or(0);
  if (*forecast.search_seconds <= left) return;
  const double share = std::max(0.0, left) / *forecast.search_seconds;
  forecast.ends_at_deadline = true;
  forecast.search_seconds = std::max(0.0, left);
  forecast.search_tokens =
      static_cast<int64_t>(share * static_cast<double>(forecast.search_tokens));
}

std::string Minutes(const std::optional<double>& seconds) {
  if (!seconds.has_value()) return "-";
  if (*seconds < 1) return absl::StrFormat("%.2g s", *seconds);
  return absl::FormatDuration(absl::Seconds(std::llround(*seconds)));
}

double Total(const Forecast& forecast) {
  return *forecast.build_seconds + *forecast.search_seconds +
         *forecast.report_seconds;
}

bool HasTimes(const Forecast& forecast) {
  return forecast.build_seconds.has_value() &&
         forecast.search_seconds.has_value();
}

}  // namespace

Reach DescribeReach(const search::SearchSpace& space,
                    const std::vector<search::Target>& targets) {
  Reach reach;
  reach.weights = TotalWeights(space);
  reach.kinds = space.cost_kinds;
  for (size_t k = 0; k < space.cost_kinds.size(); ++k) {
    reach.ranges.push_back(ReachableCosts(space, static_cast<int>(k)));
  }
  reach.budgets = space.budgets;
  for (const search::Target& target : targets) {
    const search::Budget budget{space.budgets[0].kind, target.limit};
    if (budget != space.budgets[0]) reach.budgets.push_back(budget);
  }
  for (const search::Budget& budget : reach.budgets) {
    reach.holds.push_back(budget.limit >= reach.ranges[budget.kind].min);
  }
  if (absl::Status s = CheckTargets(space, targets); !s.ok()) {
    reach.unreachable = std::string(s.message());
    return reach;
  }
  const std::vector<search::SearchSpace> spaces = SpacesOf(space, targets);
  for (size_t t = 0; t < spaces.size() && reach.gain_unlikely.empty(); ++t) {
    reach.gain_unlikely = GainUnlikely(spaces[t]);
    if (targets.empty() || reach.gain_unlikely.empty()) continue;
    reach.gain_unlikely =
        absl::StrCat("at ", targets[t].name, ": ", reach.gain_unlikely);
  }
  return reach;
}

absl::StatusOr<Forecast> ForecastWork(const JobPlan& plan,
                                      const PresentLevels& present) {
  Forecast forecast;
  if (const auto* set = FindSet(plan.spec, v1::TokenSetRef::STATISTICS)) {
    forecast.statistics_tokens = int64_t{set->sequences()} * set->length();
  }
  auto options = proto::FromProto(plan.spec.strategy());
  if (!options.ok()) return options.status();
  auto input = InputOf(plan);
  if (!input.ok()) return input.status();
  forecast.profiles =
      search::NeededScore(*options) != search::ModelScore::kNone;
  forecast.most_tokens = search::PlannedTokens(*input, *options);
  forecast.least_tokens = search::LeastTokens(*input, *options);
  if (plan.spec.limits().max_tokens() > 0) {
    const int64_t limit = plan.spec.limits().max_tokens();
    forecast.most_tokens = std::min(forecast.most_tokens, limit);
    forecast.least_tokens = std::min(forecast.least_tokens, limit);
  }
  forecast.search_tokens =
      std::llround(std::pow(static_cast<double>(forecast.least_tokens), 0.25) *
                   std::pow(static_cast<double>(forecast.most_tokens), 0.75));
  for (const TaskWork& task : ReportWork(plan.spec)) {
    forecast.report_tokens += task.tokens;
  }
  const search::SearchSpace& space = plan.space;
  for (const search::Unit& unit : space.units) {
    for (const search::LevelChoice& level : unit.menu) {
      if (level.name == "keep" || level.name == "drop") continue;
      const auto layers = static_cast<int64_t>(unit.layers.size());
      forecast.levels += layers;
      const int64_t bytes = (level.costs[kStoredBits] + 7) / 8;
      forecast.level_bytes += bytes;
      const int64_t there =
          std::count_if(unit.layers.begin(), unit.layers.end(),
                        [&](const std::string& layer) {
                          return present.contains({layer, level.name});
                        });
      forecast.levels_present += there;
      if (there < layers) forecast.missing_level_bytes += bytes;
    }
  }
  return forecast;
}

double RoundSeconds(const std::vector<TaskWork>& round,
                    const EngineSpeed& speed, int workers) {
  // A worker has its share of the threads: alone it takes `workers` times as
  // long.
  std::priority_queue<double, std::vector<double>, std::greater<>> free;
  for (int w = 0; w < workers; ++w) free.push(0);
  double end = 0;
  for (const TaskWork& task : round) {
    const double done = free.top() + workers * TaskSeconds(task, speed);
    free.pop();
    free.push(done);
    end = std::max(end, done);
  }
  return end;
}

absl::Status AddTimes(const JobPlan& plan, const EngineSpeed& speed,
                      int workers, int64_t memory_bytes, Forecast& forecast) {
  auto options = proto::FromProto(plan.spec.strategy());
  if (!options.ok()) return options.status();
  auto input = InputOf(plan);
  if (!input.ok()) return input.status();
  auto rehearsal = RehearseSearch(*input, *options, kRehearsalPatience);
  if (!rehearsal.ok()) return rehearsal.status();
  // What always ends alike asks for what the rehearsal asked for.
  if (forecast.least_tokens == forecast.most_tokens && rehearsal->finished) {
    forecast.search_tokens =
        std::min(forecast.search_tokens, rehearsal->tokens);
  }
  double seconds = rehearsal->strategy_seconds;
  for (const std::vector<TaskWork>& round : rehearsal->rounds) {
    seconds += RoundSeconds(round, speed, workers);
  }
  if (rehearsal->tokens > 0) {
    seconds *= static_cast<double>(forecast.search_tokens) /
               static_cast<double>(rehearsal->tokens);
  }
  forecast.search_seconds = speed.open + seconds;

  forecast.build_seconds = 0;
  if (forecast.levels_present < forecast.levels) {
    const double missing =
        static_cast<double>(forecast.levels - forecast.levels_present) /
        static_cast<double>(forecast.levels);
    forecast.build_seconds =
        speed.compress * missing + speed.capture_fixed +
        speed.capture_token * static_cast<double>(forecast.statistics_tokens);
  }
  if (forecast.profiles) {
    *forecast.build_seconds +=
        speed.block * static_cast<double>(forecast.statistics_tokens);
  }
  forecast.report_seconds = 0;
  for (const TaskWork& task : ReportWork(plan.spec)) {
    *forecast.report_seconds += TaskSeconds(task, speed);
  }
  // Laid out for multiplication: two bytes a weight, or four in float32.
  const int64_t weight_bytes =
      speed.numeric_class.find("bf16") != std::string::npos ? 2 : 4;
  int64_t prepared = 0;
  for (const search::Unit& unit : plan.space.units) {
    prepared +=
        unit.weights * weight_bytes * static_cast<int64_t>(unit.menu.size());
  }
  const int64_t searching =
      workers * speed.peak_bytes + std::min(prepared, memory_bytes);
  const bool builds = forecast.levels_present < forecast.levels;
  forecast.memory_bytes = std::max(
      searching,
      workers * (speed.peak_bytes + (builds ? 2 * speed.statistics_bytes : 0)));
  forecast.basis = absl::StrFormat(
      "measured on this machine in %.1f s (%s): %.4g ms a token through the "
      "blocks, %.4g ms for its loss",
      speed.spent, speed.numeric_class, speed.block * 1e3, speed.loss * 1e3);
  ApplyDeadline(plan.spec, forecast);
  return absl::OkStatus();
}

void AddTimes(const JobPlan& plan, const ShownRates& rates,
              Forecast& forecast) {
  if (rates.tokens_per_second <= 0) {
    forecast.basis =
        "the workers of this server have measured nothing on this model yet, "
        "so how fast they are is unknown";
    return;
  }
  const int64_t missing = forecast.levels - forecast.levels_present;
  if (missing == 0 && !forecast.profiles) {
    forecast.build_seconds = 0;
  } else if (rates.levels_per_second > 0) {
    forecast.build_seconds =
        static_cast<double>(missing) / rates.levels_per_second;
  }
  if (forecast.profiles && forecast.build_seconds.has_value()) {
    *forecast.build_seconds += static_cast<double>(forecast.statistics_tokens) /
                               rates.tokens_per_second;
  }
  forecast.search_seconds =
      static_cast<double>(forecast.search_tokens) / rates.tokens_per_second;
  forecast.report_seconds =
      static_cast<double>(forecast.report_tokens) / rates.tokens_per_second;
  forecast.basis = absl::StrCat(
      "what the workers of this server have shown in ", rates.jobs,
      rates.jobs == 1 ? " job" : " jobs",
      " on this model: ", FormatCount(std::llround(rates.tokens_per_second)),
      " tokens/s",
      forecast.build_seconds.has_value()
          ? ""
          : "; they have built no levels, so that time is missing");
  ApplyDeadline(plan.spec, forecast);
}

std::string FormatReach(const Reach& reach) {
  TextTable ranges({"cost", ">least", ">most", ">least/weight", ">most/weight",
                    ">least size", ">most size"});
  for (size_t k = 0; k < reach.kinds.size(); ++k) {
    const search::CostRange& range = reach.ranges[k];
    const bool bits = IsBits(static_cast<int>(k));
    const bool bytes = k == kModelBits;
    ranges.AddRow(
        {reach.kinds[k], FormatCount(range.min), FormatCount(range.max),
         bits ? search::FormatBitsPerWeight(range.min, reach.weights) : "",
         bits ? search::FormatBitsPerWeight(range.max, reach.weights) : "",
         bytes ? search::FormatSize((range.min + 7) / 8) : "",
         bytes ? search::FormatSize((range.max + 7) / 8) : ""});
  }
  std::string text =
      absl::StrCat("Reachable with this menu (per weight of the ",
                   FormatCount(reach.weights), " of the searched layers):\n",
                   ranges.Format());
  if (!reach.budgets.empty()) {
    TextTable budgets({"budget", ">limit", ">per weight", "holds"});
    for (size_t b = 0; b < reach.budgets.size(); ++b) {
      const search::Budget& budget = reach.budgets[b];
      budgets.AddRow({reach.kinds[budget.kind], FormatCount(budget.limit),
                      IsBits(budget.kind) ? search::FormatBitsPerWeight(
                                                budget.limit, reach.weights)
                                          : "",
                      reach.holds[b] ? "yes" : "NO"});
    }
    absl::StrAppend(&text, "\n", budgets.Format());
  }
  if (!reach.gain_unlikely.empty()) {
    absl::StrAppend(&text, "gain unlikely here: ", reach.gain_unlikely, "\n");
  }
  return text;
}

std::string FormatForecast(const Forecast& forecast) {
  const int64_t missing = forecast.levels - forecast.levels_present;
  TextTable table({"work", ">tokens", ">expected time", ""});
  const bool builds = missing > 0 || forecast.profiles;
  table.AddRow(
      {"build levels", builds ? FormatCount(forecast.statistics_tokens) : "0",
       builds ? Minutes(forecast.build_seconds) : "present",
       absl::StrCat(FormatCount(missing), " of ", FormatCount(forecast.levels),
                    " levels to make",
                    forecast.profiles ? ", and the model's profile" : "")});
  table.AddRow(
      {"search", FormatCount(forecast.search_tokens),
       Minutes(forecast.search_seconds),
       forecast.ends_at_deadline ? "ends at --max-hours: not reproducible"
       : forecast.least_tokens < forecast.most_tokens
           ? absl::StrCat("between ", FormatCount(forecast.least_tokens),
                          " and ", FormatCount(forecast.most_tokens),
                          " tokens: ends when nothing better is found")
           : absl::StrCat("at most ", FormatCount(forecast.most_tokens))});
  table.AddRow({"report", FormatCount(forecast.report_tokens),
                Minutes(forecast.report_seconds), "held-out texts"});
  if (HasTimes(forecast)) {
    table.AddRow({"all",
                  FormatCount(forecast.search_tokens + forecast.report_tokens),
                  Minutes(Total(forecast)), "tokens measured"});
  }
  std::string text = absl::StrCat(
      table.Format(), "Times are ", forecast.basis,
      ".\nDisk: ", FormatCount(forecast.missing_level_bytes), " bytes (",
      search::FormatSize(forecast.missing_level_bytes), ") of new levels, ",
      search::FormatSize(forecast.level_bytes), " in all.");
  if (forecast.memory_bytes > 0) {
    absl::StrAppend(&text, "\nMemory: about ",
                    search::FormatSize(forecast.memory_bytes),
                    ", the cache of prepared weights within --memory.");
  }
  return text + "\n";
}

nlohmann::json ToJson(const Reach& reach) {
  const auto per_weight = [&](int64_t cost, int kind) -> nlohmann::json {
    if (!IsBits(kind) || reach.weights == 0) return nullptr;
    return static_cast<double>(cost) / static_cast<double>(reach.weights);
  };
  nlohmann::json kinds = nlohmann::json::array();
  for (size_t k = 0; k < reach.kinds.size(); ++k) {
    const search::CostRange& range = reach.ranges[k];
    const int kind = static_cast<int>(k);
    nlohmann::json entry = {{"kind", reach.kinds[k]},
                            {"min", range.min},
                            {"max", range.max},
                            {"min_per_weight", per_weight(range.min, kind)},
                            {"max_per_weight", per_weight(range.max, kind)}};
    if (kind == kModelBits) {
      entry["min_bytes"] = (range.min + 7) / 8;
      entry["max_bytes"] = (range.max + 7) / 8;
    }
    kinds.push_back(std::move(entry));
  }
  nlohmann::json budgets = nlohmann::json::array();
  for (size_t b = 0; b < reach.budgets.size(); ++b) {
    const search::Budget& budget = reach.budgets[b];
    budgets.push_back({{"kind", reach.kinds[budget.kind]},
                       {"limit", budget.limit},
                       {"per_weight", per_weight(budget.limit, budget.kind)},
                       {"holds", static_cast<bool>(reach.holds[b])}});
  }
  return {{"searched_weights", reach.weights},
          {"reachable", kinds},
          {"budgets", budgets},
          {"budgets_hold", reach.unreachable.empty()},
          {"unreachable", reach.unreachable},
          {"gain_unlikely", !reach.gain_unlikely.empty()},
          {"gain_unlikely_reason", reach.gain_unlikely}};
}

nlohmann::json ToJson(const Forecast& forecast) {
  const auto seconds = [](const std::optional<double>& value) {
    return value.has_value() ? nlohmann::json(*value) : nlohmann::json(nullptr);
  };
  nlohmann::json total = nullptr;
  if (HasTimes(forecast)) total = Total(forecast);
  return {{"tokens",
           {{"statistics", forecast.statistics_tokens},
            {"search", forecast.search_tokens},
            {"search_least", forecast.least_tokens},
            {"search_most", forecast.most_tokens},
            {"report", forecast.report_tokens},
            {"measured", forecast.search_tokens + forecast.report_tokens}}},
          {"seconds",
           {{"build", seconds(forecast.build_seconds)},
            {"search", seconds(forecast.search_seconds)},
            {"report", seconds(forecast.report_seconds)},
            {"total", total},
            {"basis", forecast.basis}}},
          {"ends_at_deadline", forecast.ends_at_deadline},
          {"levels",
           {{"all", forecast.levels},
            {"present", forecast.levels_present},
            {"bytes", forecast.level_bytes},
            {"missing_bytes", forecast.missing_level_bytes}}},
          {"memory_bytes", forecast.memory_bytes > 0
                               ? nlohmann::json(forecast.memory_bytes)
                               : nlohmann::json(nullptr)}};
}

}  // namespace evopress::client
