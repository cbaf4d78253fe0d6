// evopress submit: the same job on a coordinator elsewhere.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/artifact_source.h"
#include "client/commands/command.h"
#include "client/connection.h"
#include "client/earlier_jobs.h"
#include "client/exit_code.h"
#include "client/export_job.h"
#include "client/interrupt.h"
#include "client/job_flags.h"
#include "client/job_plan.h"
#include "client/job_run.h"
#include "client/job_text.h"
#include "client/progress_line.h"
#include "client/service_client.h"
#include "search/budget.h"
#include "worker/channel_flags.h"

namespace evopress::client {
namespace {

struct SubmitFlags {
  JobFlags job;
  ConnectionFlags connection;
  bool watch = false;
  ExportOptions output;
  bool json = false;
};

absl::Status RunSubmit(const SubmitFlags& flags) {
  const bool exports = !flags.output.out.empty();
  if (exports) {
    if (absl::Status s = CheckExportOptions(flags.output); !s.ok()) return s;
  }
  auto connection = Connect(flags.connection);
  if (!connection.ok()) return connection.status();
  ServiceClient& client = *connection->client;
  auto plan = PlanSearch(flags.job);
  if (!plan.ok()) return plan.status();
  {
    ProgressLine line;
    for (const auto& warning : plan->warnings) {
      line.Note(absl::StrCat("warning: ", warning));
    }
    const absl::Status uploaded = UploadMissing(
        client, plan->artifacts, Interrupted(),
        [&](int64_t sent, int64_t total, const std::string& label) {
          line.Show(label, absl::StrCat("uploading ", label, "  ",
                                        search::FormatSize(sent), " of ",
                                        search::FormatSize(total)));
        });
    if (!uploaded.ok()) return uploaded;
  }
  if (absl::Status s = StartFromEarlier(client, *plan); !s.ok()) return s;
  auto job = CreateOrResume(client, *plan);
  if (!job.ok()) return job.status();
  if (!flags.watch && !exports) {
    if (flags.json) {
      std::printf("%s\n", JobJson(*job).dump(2).c_str());
    } else {
      std::printf("%s\n", job->name().c_str());
    }
    return absl::OkStatus();
  }
  std::fprintf(stderr, "%s\n", job->name().c_str());
  if (!HasEnded(*job)) {
    job = FollowJob(client, job->name(), Interrupted(),
                    [] { return absl::OkStatus(); });
  }
  if (absl::IsCancelled(job.status())) {
    return absl::CancelledError("stopped watching; the job goes on");
  }
  if (!job.ok()) return job.status();
  auto full = client.GetJob(job->name());
  if (!full.ok()) return full.status();
  if (absl::Status s = CheckSucceeded(*full); !s.ok()) return s;
  if (exports) {
    auto fetch = OpenArtifacts(connection->link, "");
    if (!fetch.ok()) return fetch.status();
    auto inputs = MakeExportInputs(*full, /*incumbent=*/false, *fetch);
    if (!inputs.ok()) return inputs.status();
    if (absl::Status s = ExportJob(*inputs, *fetch, flags.output); !s.ok()) {
      return s;
    }
  }
  if (flags.json) {
    std::printf("%s\n", JobJson(*full).dump(2).c_str());
  } else {
    std::printf("%s", JobText(*full, UseColor()).c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddSubmitCommand(CLI::App& app, RunCommand& run) {
  auto flags = std::make_shared<SubmitFlags>();
  CLI::App* command = app.add_subcommand(
      "submit",
      "Submits a search to a coordinator (evopressd) and prints the job's "
      "name.\nModel and texts are uploaded unless they are there. The same "
      "command again\nfinds the same job.\n\n"
      "Example:\n  evopress submit smol.gguf --text c4.txt --target-bits 3 \\\n"
      "    --server coordinator:50071 --tls-ca ca.pem --token-file ann.token "
      "--watch\n");
  AddJobFlags(*command, flags->job);
  worker::AddChannelFlags(*command, flags->connection.server);
  command->add_flag("--watch", flags->watch,
                    "Stay and show progress and result");
  command->add_option("--out", flags->output.out,
                      "Wait and write the result here");
  AddExportFlags(*command, flags->output);
  AddJsonFlag(*command, flags->json);
  command->callback([flags, &run] {
    run = [flags] { return ReportError(RunSubmit(*flags), flags->json); };
  });
}

}  // namespace evopress::client
