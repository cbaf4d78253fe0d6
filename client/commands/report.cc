// evopress report: a search as one HTML page.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "client/artifact_source.h"
#include "client/commands/command.h"
#include "client/connection.h"
#include "client/earlier_jobs.h"
#include "client/exit_code.h"
#include "client/export_input.h"
#include "client/job_flags.h"
#include "client/report_html.h"
#include "client/search_story.h"
#include "quant/atomic_file.h"

namespace evopress::client {
namespace {

struct ReportFlags {
  std::string job;
  ConnectionFlags connection;
  std::string out;
  bool json = false;
};

absl::Status RunReport(const ReportFlags& flags) {
  auto connection = Connect(flags.connection);
  if (!connection.ok()) return connection.status();
  auto fetch = OpenArtifacts(connection->link, connection->data_dir);
  if (!fetch.ok()) return fetch.status();
  auto job = connection->client->GetJob(JobName(flags.job));
  if (!job.ok()) return job.status();
  auto inputs = MakeExportInputs(*job, /*incumbent=*/true, *fetch);
  if (!inputs.ok()) return inputs.status();
  auto archive = FetchArchive(*connection->client, *job);
  // Without it the search cannot be replayed, and the report says so.
  if (!archive.ok()) archive = search::Archive();
  auto rounds = connection->client->ListRounds(job->name());
  if (!rounds.ok()) return rounds.status();
  auto story = TellStory(*job, *rounds, inputs->front().levels, *archive);
  if (!story.ok()) return story.status();
  auto html = WriteReport(*inputs, *story);
  if (!html.ok()) return html.status();
  if (absl::Status s = quant::WriteFileAtomically(flags.out, {*html});
      !s.ok()) {
    return s;
  }
  if (flags.json) {
    const nlohmann::json json = {{"job", job->name()},
                                 {"what", inputs->front().candidate.name()},
                                 {"rounds", story->rounds.size()},
                                 {"replayed", story->replayed},
                                 {"out", flags.out}};
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    std::printf("report of %s written to %s\n", job->name().c_str(),
                flags.out.c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddReportCommand(CLI::App& app, RunCommand& run) {
  auto flags = std::make_shared<ReportFlags>();
  CLI::App* command = app.add_subcommand(
      "report",
      "Writes one HTML page about a job, ended or not: how the loss fell, the "
      "level of\nevery layer, results with error bars, costs and budgets, all "
      "rounds and the\nprovenance. The page needs nothing else.\n\n"
      "Example:\n  evopress report jobs/1f3a --out report.html --data "
      "~/.cache/evopress\n");
  command->add_option("JOB", flags->job, "Name of the job")->required();
  command->add_option("--out", flags->out, "File to write")->required();
  AddConnectionFlags(*command, flags->connection);
  AddJsonFlag(*command, flags->json);
  command->callback([flags, &run] {
    run = [flags] { return ReportError(RunReport(*flags), flags->json); };
  });
}

}  // namespace evopress::client
