// evopress plan: what a search would cost and could reach, before it runs.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/artifact_source.h"
#include "client/commands/command.h"
#include "client/connection.h"
#include "client/earlier_jobs.h"
#include "client/engine_speed.h"
#include "client/exit_code.h"
#include "client/forecast.h"
#include "client/job_flags.h"
#include "client/job_plan.h"
#include "client/job_text.h"
#include "client/level_table.h"
#include "client/local_service.h"
#include "client/progress_line.h"
#include "client/strategy_flags.h"
#include "client/targets.h"
#include "search/budget.h"
#include "worker/channel_flags.h"
#include "worker/token_set.h"

namespace evopress::client {
namespace {

struct PlanFlags {
  JobFlags job;
  LocalFlags local;
  worker::CoordinatorAddress server;  // no address: this machine
  bool json = false;
};

// Who would run the search: --server, or this machine on a data directory.
ConnectionFlags Coordinator(const PlanFlags& flags) {
  ConnectionFlags connection;
  connection.server = flags.server;
  if (flags.server.address.empty()) {
    connection.data_dir =
        flags.local.data_dir.empty() ? DefaultDataDir() : flags.local.data_dir;
  }
  return connection;
}

// False where nothing has run yet: to open it would make it.
bool HasJobs(const ConnectionFlags& here) {
  std::error_code error;
  return std::filesystem::exists(here.data_dir + "/journal.sqlite", error);
}

// Sequences to time the engine on: the job's own text.
absl::StatusOr<std::vector<std::vector<int32_t>>> SomeSequences(
    const JobPlan& plan) {
  constexpr int64_t kMost = 4;
  for (const LocalArtifact& artifact : plan.artifacts) {
    if (!artifact.path.empty()) continue;  // a file of the model
    auto set = worker::TokenSet::Parse(artifact.bytes);
    if (!set.ok()) return set.status();
    std::vector<std::vector<int32_t>> sequences;
    for (int64_t s = 0; s < std::min(kMost, set->num_sequences()); ++s) {
      const auto sequence = set->sequence(s);
      sequences.emplace_back(sequence.begin(), sequence.end());
    }
    return sequences;
  }
  return absl::InvalidArgumentError(
      "nothing is measured: give --text or --held-out to know the time");
}

// What earlier jobs of a coordinator say about this one.
struct Earlier {
  PresentLevels present;
  ShownRates rates;
};

absl::StatusOr<Earlier> AskCoordinator(const ConnectionFlags& flags,
                                       const v1::JobSpec& spec,
                                       const std::string& numeric_class) {
  auto connection = Connect(flags);
  if (!connection.ok()) return connection.status();
  auto fetch = OpenArtifacts(connection->link, connection->data_dir);
  if (!fetch.ok()) return fetch.status();
  auto jobs = connection->client->ListJobs();
  if (!jobs.ok()) return jobs.status();
  Earlier earlier;
  auto present = FindPresentLevels(*connection->client, *fetch, *jobs, spec,
                                   numeric_class);
  if (!present.ok()) return present.status();
  earlier.present = *std::move(present);
  int64_t tokens = 0;
  int64_t blobs = 0;
  double measuring = 0;
  double building = 0;
  for (const v1::Job& job : *jobs) {
    if (job.spec().model().hash() != spec.model().hash()) continue;
    if (job.evaluated_tokens() > 0) {
      tokens += job.evaluated_tokens();
      measuring += Seconds(job.measure_time());
      ++earlier.rates.jobs;
    }
    if (job.built_blobs() > 0) {
      blobs += job.built_blobs();
      building += Seconds(job.build_time());
    }
  }
  if (measuring > 0) {
    earlier.rates.tokens_per_second = static_cast<double>(tokens) / measuring;
  }
  if (building > 0) {
    earlier.rates.levels_per_second = static_cast<double>(blobs) / building;
  }
  return earlier;
}

absl::Status ForecastHere(const PlanFlags& flags, const JobPlan& plan,
                          const quant::Checkpoint& model,
                          std::vector<std::string>& warnings,
                          Forecast& forecast) {
  EngineSpeedOptions options;
  auto memory = search::ParseSize(flags.local.memory);
  if (!memory.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--memory: ", memory.status().message()));
  }
  options.memory_bytes = *memory / flags.local.workers;
  options.threads = flags.local.threads;
  options.model_path = flags.job.data.model;
  auto evaluator = FindEvaluator(flags.local.evaluator);
  if (!evaluator.ok()) return evaluator.status();
  options.evaluator_binary = *evaluator;
  auto sequences = SomeSequences(plan);
  if (!sequences.ok()) return sequences.status();
  ProgressLine line;
  line.Show("measuring", "measuring how fast the engine runs this model …");
  auto speed = MeasureEngineSpeed(model, plan.space, *sequences, options);
  line.Clear();
  if (!speed.ok()) return speed.status();

  const ConnectionFlags connection = Coordinator(flags);
  PresentLevels present;
  if (HasJobs(connection)) {
    auto earlier = AskCoordinator(connection, plan.spec, speed->numeric_class);
    if (earlier.ok()) {
      present = std::move(earlier->present);
    } else {
      warnings.push_back(
          absl::StrCat("it is not known which levels are there: ",
                       earlier.status().message()));
    }
  }
  auto work = ForecastWork(plan, present);
  if (!work.ok()) return work.status();
  forecast = *std::move(work);
  return AddTimes(plan, *speed, flags.local.workers, *memory, forecast);
}

absl::Status ForecastThere(const PlanFlags& flags, const JobPlan& plan,
                           Forecast& forecast) {
  auto earlier = AskCoordinator(Coordinator(flags), plan.spec, "");
  if (!earlier.ok()) return earlier.status();
  auto work = ForecastWork(plan, earlier->present);
  if (!work.ok()) return work.status();
  forecast = *std::move(work);
  AddTimes(plan, earlier->rates, forecast);
  return absl::OkStatus();
}

// What the coordinator that would run the search has of --from.
absl::Status KnowEarlier(const PlanFlags& flags, JobPlan& plan) {
  if (plan.from.empty()) return absl::OkStatus();
  const ConnectionFlags connection = Coordinator(flags);
  if (flags.server.address.empty() && !HasJobs(connection)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot start from ", plan.from.front(), ": ", connection.data_dir,
        " has no jobs; give --data or --server"));
  }
  auto connected = Connect(connection);
  if (!connected.ok()) return connected.status();
  return RehearseStart(*connected->client, plan);
}

// What the menu reaches is told in any case; the rest needs a job that could
// run.
absl::Status RunPlan(const PlanFlags& flags) {
  const StrategyFlags& strategy = flags.job.strategy;
  if (absl::Status s = CheckFlagsOfStrategy(strategy.strategy, strategy.given);
      !s.ok()) {
    return s;
  }
  auto model = OpenModel(flags.job.data.model);
  if (!model.ok()) return model.status();
  auto tables = ReadCostTables(flags.job.cost_tables);
  if (!tables.ok()) return tables.status();
  auto space = PlanSpace(flags.job, **model, *tables);
  if (!space.ok()) return space.status();
  auto targets = SetTargets(flags.job.budget, *space);
  if (!targets.ok()) return targets.status();
  const Reach reach = DescribeReach(*space, *targets);
  nlohmann::json json = ToJson(reach);
  if (!flags.json) std::printf("%s\n", FormatReach(reach).c_str());
  absl::Status status;
  if (!reach.unreachable.empty()) {
    status = absl::FailedPreconditionError(reach.unreachable);
  } else if (!space->budgets.empty()) {
    auto plan = PlanSearch(flags.job);
    if (!plan.ok()) return plan.status();
    std::vector<std::string> warnings = plan->warnings;
    if (absl::Status s = KnowEarlier(flags, *plan); !s.ok()) return s;
    Forecast forecast;
    status = flags.server.address.empty()
                 ? ForecastHere(flags, *plan, **model, warnings, forecast)
                 : ForecastThere(flags, *plan, forecast);
    if (!status.ok()) return status;
    json.update(ToJson(forecast));
    json["warnings"] = warnings;
    if (!flags.json) {
      std::printf("%s", FormatForecast(forecast).c_str());
      for (const std::string& warning : warnings) {
        std::printf("warning: %s\n", warning.c_str());
      }
    }
  }
  if (flags.json && status.ok()) std::printf("%s\n", json.dump(2).c_str());
  return status;
}

}  // namespace

void AddPlanCommand(CLI::App& app, RunCommand& run) {
  auto flags = std::make_shared<PlanFlags>();
  CLI::App* command = app.add_subcommand(
      "plan",
      "Tells what a search would cost and could reach, before anything is "
      "spent: the\nreach of the menu in every cost, tokens, time, disk and "
      "memory. The flags are\nthose of search. The time comes from a run of "
      "the engine of some seconds or,\nwith --server, from what its workers "
      "have shown. Without a budget: the reach\nalone.\n\n"
      "Example:\n  evopress plan smol.gguf --text c4.txt --target-bits 3\n");
  AddJobFlags(*command, flags->job);
  AddLocalFlags(*command, flags->local);
  worker::AddChannelFlags(*command, flags->server);
  AddJsonFlag(*command, flags->json);
  command->callback([flags, &run] {
    run = [flags] { return ReportError(RunPlan(*flags), flags->json); };
  });
}

}  // namespace evopress::client
