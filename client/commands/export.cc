// evopress export: the winner of a job, or its incumbent, in some format.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/artifact_source.h"
#include "client/commands/command.h"
#include "client/connection.h"
#include "client/exit_code.h"
#include "client/export_input.h"
#include "client/export_job.h"
#include "client/export_json.h"
#include "client/job_flags.h"

namespace evopress::client {
namespace {

struct ExportFlags {
  std::string source;  // job, or a directory written earlier
  ConnectionFlags connection;
  ExportOptions output;
  std::string budget;  // of a job with several; empty: all
  bool incumbent = false;
  bool json = false;
};

bool NeedsBlobs(const ExportOptions& options) {
  for (const auto& format : options.formats) {
    if (format == "hf") return true;
  }
  return false;
}

absl::Status RunExport(const ExportFlags& flags) {
  if (absl::Status s = CheckExportOptions(flags.output); !s.ok()) return s;
  std::error_code error;
  const bool from_directory =
      std::filesystem::is_directory(flags.source, error);
  // A directory says all but the weights, so text formats need no coordinator.
  FetchArtifact fetch;
  Connection connection;
  if (!from_directory || NeedsBlobs(flags.output)) {
    auto connected = Connect(flags.connection);
    if (!connected.ok()) return connected.status();
    connection = *std::move(connected);
    auto artifacts = OpenArtifacts(connection.link, connection.data_dir);
    if (!artifacts.ok()) return artifacts.status();
    fetch = *std::move(artifacts);
  }
  auto job = from_directory ? ReadExportedJob(flags.source)
                            : connection.client->GetJob(JobName(flags.source));
  if (!job.ok()) return job.status();
  std::vector<ExportInput> inputs;
  if (flags.budget.empty()) {
    auto all = MakeExportInputs(*job, flags.incumbent, fetch);
    if (!all.ok()) return all.status();
    inputs = *std::move(all);
  } else {
    auto one = MakeExportInput(*job, flags.incumbent, fetch, flags.budget);
    if (!one.ok()) return one.status();
    inputs.push_back(*std::move(one));
  }
  if (absl::Status s = ExportJob(inputs, fetch, flags.output); !s.ok()) {
    return s;
  }
  const std::string what = absl::StrJoin(
      inputs, ", ", [](std::string* out, const ExportInput& input) {
        absl::StrAppend(out, input.candidate.name());
      });
  if (flags.json) {
    const nlohmann::json json = {{"job", job->name()},
                                 {"what", what},
                                 {"formats", flags.output.formats},
                                 {"out", flags.output.out}};
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    std::printf("%s of %s written to %s\n", what.c_str(), job->name().c_str(),
                flags.output.out.c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddExportCommand(CLI::App& app, RunCommand& run) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* command = app.add_subcommand(
      "export",
      "Writes the winner of a job, or the best so far, in some format.\n\n"
      "Example:\n  evopress export jobs/1f3a --for hf --out smol-hf --data "
      "~/.cache/evopress\n  evopress export result/ --for evopress --out "
      "text/\n");
  command
      ->add_option("JOB", flags->source,
                   "Name of a job, or a directory written by search")
      ->required();
  command
      ->add_option("--for", flags->output.formats,
                   "Formats: evopress, json, hf (weights dequantized)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->required();
  command->add_option("--out", flags->output.out, "Directory to write")
      ->required();
  command
      ->add_option("--dtype", flags->output.dtype,
                   "hf: float32, float16 or bfloat16")
      ->capture_default_str();
  command->add_option("--model", flags->output.model_path,
                      "hf: the uncompressed model, if it is not where the job "
                      "found it");
  command->add_option(
      "--budget", flags->budget,
      "Which budget's winner, e.g. 2.5, of a job that has "
      "several (default: all, each in a directory of its name)");
  command->add_flag("--incumbent", flags->incumbent,
                    "The best so far of a job that is running, paused, "
                    "cancelled or failed");
  command->add_flag("--force", flags->output.force,
                    "Replace an earlier result in --out");
  AddConnectionFlags(*command, flags->connection);
  AddJsonFlag(*command, flags->json);
  command->callback([flags, &run] {
    run = [flags] { return ReportError(RunExport(*flags), flags->json); };
  });
}

}  // namespace evopress::client
