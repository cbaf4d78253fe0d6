// What a job would cost and could reach, before anything is spent.
#ifndef EVOPRESS_CLIENT_FORECAST_H_
#define EVOPRESS_CLIENT_FORECAST_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/engine_speed.h"
#include "client/job_plan.h"
#include "client/search_rehearsal.h"
#include "nlohmann/json.hpp"
#include "search/space.h"

namespace evopress::client {

// Above this many bits per weight the plain solutions usually win.
inline constexpr double kHighBits = 4;

// What the menu can reach and what the budgets ask.
struct Reach {
  int64_t weights = 0;                    // of the searched layers
  std::vector<std::string> kinds;         // of cost
  std::vector<search::CostRange> ranges;  // of each kind
  std::vector<search::Budget> budgets;    // as asked, every target's too
  std::vector<bool> holds;                // each by itself
  std::string unreachable;                // why not all of them; or empty
  // Why a search is unlikely to gain anything over plain solutions, with the
  // rule by which that is said; or empty.
  std::string gain_unlikely;
};
Reach DescribeReach(const search::SearchSpace& space,
                    const std::vector<search::Target>& targets = {});

// Levels by (layer, level) that need not be made.
using PresentLevels = std::set<std::pair<std::string, std::string>>;

struct Forecast {
  int64_t statistics_tokens = 0;  // run once to build levels
  bool profiles = false;          // and once for what the strategy goes by
  // Measured by the search. Strategies that end when nothing better is found
  // have a range; what is expected is then nearer to its end in ratio, by three
  // to one: most searches go on until there (docs/search.md), few end early.
  int64_t least_tokens = 0;
  int64_t search_tokens = 0;
  int64_t most_tokens = 0;
  int64_t report_tokens = 0;

  int64_t levels = 0;  // that need a blob, over all layers
  int64_t levels_present = 0;
  int64_t level_bytes = 0;          // of all
  int64_t missing_level_bytes = 0;  // still to be stored

  // Absent if nobody knows how fast the workers are.
  std::optional<double> build_seconds;
  std::optional<double> search_seconds;
  std::optional<double> report_seconds;
  bool ends_at_deadline = false;  // --max-hours is expected to cut it short
  int64_t memory_bytes = 0;       // of all workers together; 0: unknown
  std::string basis;              // of the times, or why there are none
};

// Counts alone. `patience`: how long the strategy may be rehearsed.
absl::StatusOr<Forecast> ForecastWork(const JobPlan& plan,
                                      const PresentLevels& present);

// Adds times on `workers` workers that share the speed of a machine, and their
// memory with caches of `memory_bytes` in all.
absl::Status AddTimes(const JobPlan& plan, const EngineSpeed& speed,
                      int workers, int64_t memory_bytes, Forecast& forecast);

// Rates that a fleet has shown on this model. 0: unknown.
struct ShownRates {
  double tokens_per_second = 0;
  double levels_per_second = 0;
  int64_t jobs = 0;  // that they come from
};
void AddTimes(const JobPlan& plan, const ShownRates& rates, Forecast& forecast);

// The search's seconds for the tasks of a round, one after another as workers
// become free.
double RoundSeconds(const std::vector<TaskWork>& round,
                    const EngineSpeed& speed, int workers);

std::string FormatReach(const Reach& reach);
std::string FormatForecast(const Forecast& forecast);
nlohmann::json ToJson(const Reach& reach);
nlohmann::json ToJson(const Forecast& forecast);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_FORECAST_H_
