// evopress search: one machine, one command.
#include <cstdio>
#include <memory>
#include <string>

#include "client/artifact_source.h"
#include "client/commands/command.h"
#include "client/exit_code.h"
#include "client/export_job.h"
#include "client/job_flags.h"
#include "client/job_plan.h"
#include "client/job_run.h"
#include "client/job_text.h"
#include "client/progress_line.h"
#include "client/result_table.h"
#include "client/standing_text.h"

namespace evopress::client {
namespace {

struct SearchFlags {
  JobFlags job;
  LocalFlags local;
  ExportOptions output;
  bool json = false;
};

absl::Status RunSearch(const SearchFlags& flags) {
  if (absl::Status s = CheckExportOptions(flags.output); !s.ok()) return s;
  auto plan = PlanSearch(flags.job);
  if (!plan.ok()) return plan.status();
  auto run = RunLocally(*plan, flags.local);
  if (!run.ok()) return run.status();
  auto fetch = OpenArtifacts(run->service->link(), run->service->data_dir());
  if (!fetch.ok()) return fetch.status();
  auto inputs = MakeExportInputs(run->job, /*incumbent=*/false, *fetch);
  if (!inputs.ok()) return inputs.status();
  if (absl::Status s = ExportJob(*inputs, *fetch, flags.output); !s.ok()) {
    return s;
  }
  auto table = MakeResultTable(run->job);
  if (!table.ok()) return table.status();
  if (flags.json) {
    nlohmann::json json = {
        {"job", run->job.name()},
        {"state", StateName(run->job.state())},
        {"out", flags.output.out},
        {"history_hash", run->job.history_hash()},
        {"numeric_class", run->job.numeric_class()},
        {"rounds", run->job.rounds()},
        {"search_tokens", run->job.search_tokens()},
        {"known_tokens", run->job.known_tokens()},
        {"start_tokens", run->job.start_tokens()},
        {"evaluated_tokens", run->job.evaluated_tokens()},
        {"build_seconds", Seconds(run->job.build_time())},
        {"measure_seconds", Seconds(run->job.measure_time())},
        {"stopped_by", StopName(run->job)},
        {"reproducible", IsReproducible(run->job)},
        {"warnings", plan->warnings},
        {"results", ToJson(*table)}};
    AddStandings(run->job, json);
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    std::printf("%s%s%s%s\nwritten to %s\n",
                FormatTable(*table, UseColor()).c_str(),
                StandingText(run->job).c_str(), StopText(run->job).c_str(),
                LedgerText(run->job).c_str(), flags.output.out.c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddSearchCommand(CLI::App& app, RunCommand& run) {
  auto flags = std::make_shared<SearchFlags>();
  CLI::App* command = app.add_subcommand(
      "search",
      "Finds the best level for every layer under a budget, on this machine.\n"
      "Coordinator and workers run inside the command. Stop it with Ctrl-C: "
      "the same command goes on where it was.\n\n"
      "Example: 3 bits per weight on average, reported on other text:\n"
      "  evopress search smol.gguf --text c4.txt --held-out wiki=wiki.txt \\\n"
      "    --menu gptq:2-6:g64 --target-bits 3 --out smol-3bit\n"
      "Several budgets at once, each with a winner, for little more than one:\n"
      "  evopress search smol.gguf --text c4.txt --strategy guided \\\n"
      "    --target-bits 2.5,3,4 --out smol\n");
  AddJobFlags(*command, flags->job);
  AddLocalFlags(*command, flags->local);
  command->add_option("--out", flags->output.out, "Directory for the result")
      ->required();
  AddExportFlags(*command, flags->output);
  AddJsonFlag(*command, flags->json);
  command->callback([flags, &run] {
    run = [flags] { return ReportError(RunSearch(*flags), flags->json); };
  });
}

}  // namespace evopress::client
