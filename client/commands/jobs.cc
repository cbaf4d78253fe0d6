// evopress jobs: lists, watches and steers jobs of a coordinator.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/connection.h"
#include "client/exit_code.h"
#include "client/interrupt.h"
#include "client/job_flags.h"
#include "client/job_run.h"
#include "client/job_text.h"
#include "client/progress_line.h"
#include "client/result_table.h"
#include "client/text_table.h"
#include "proto/conversions.h"

namespace evopress::client {
namespace {

struct JobsFlags {
  ConnectionFlags connection;
  std::string job;
  bool json = false;
};

void Print(const v1::Job& job, bool json) {
  if (json) {
    std::printf("%s\n", JobJson(job).dump(2).c_str());
  } else {
    std::printf("%s", JobText(job, UseColor()).c_str());
  }
}

absl::Status List(ServiceClient& client, const JobsFlags& flags) {
  auto jobs = client.ListJobs();
  if (!jobs.ok()) return jobs.status();
  if (flags.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& job : *jobs) list.push_back(JobJson(job));
    std::printf("%s\n", list.dump(2).c_str());
    return absl::OkStatus();
  }
  TextTable table(
      {"job", "state", ">done", ">rounds", "created (UTC)", "what"});
  for (const auto& job : *jobs) {
    table.AddRow({job.name(), StateName(job.state()),
                  absl::StrCat(static_cast<int>(job.progress() * 100), " %"),
                  absl::StrCat(job.rounds()), TimeText(job.create_time()),
                  job.spec().display_name()});
  }
  std::printf("%s", table.Format(UseColor()).c_str());
  return absl::OkStatus();
}

absl::Status Watch(ServiceClient& client, const JobsFlags& flags) {
  auto job = FollowJob(client, JobName(flags.job), Interrupted(),
                       [] { return absl::OkStatus(); });
  if (absl::IsCancelled(job.status())) {
    return absl::CancelledError("stopped watching; the job goes on");
  }
  if (!job.ok()) return job.status();
  Print(*job, flags.json);
  if (job->state() == v1::Job::PAUSED) return absl::OkStatus();
  return CheckSucceeded(*job);
}

absl::Status Rounds(ServiceClient& client, const JobsFlags& flags) {
  auto rounds = client.ListRounds(JobName(flags.job));
  if (!rounds.ok()) return rounds.status();
  nlohmann::json list = nlohmann::json::array();
  TextTable table({">round", "purpose", ">candidates", ">samples", ">best KL",
                   "history hash"});
  for (const auto& round : *rounds) {
    double best = 0;
    bool any = false;
    int64_t samples = 0;
    nlohmann::json evaluations = nlohmann::json::array();
    for (const auto& evaluation : round.evaluations()) {
      double kl = 0;
      int64_t positions = 0;
      for (const auto& sums : evaluation.sums()) {
        kl += sums.kl();
        positions += sums.positions();
      }
      samples += evaluation.samples_size();
      const double mean =
          positions > 0 ? kl / static_cast<double>(positions) : 0;
      if (positions > 0 && (!any || mean < best)) best = mean;
      any = any || positions > 0;
      auto assignment = proto::FromProto(evaluation.assignment());
      if (!assignment.ok()) return assignment.status();
      evaluations.push_back(
          {{"levels", assignment->levels},
           {"samples", std::vector<int32_t>(evaluation.samples().begin(),
                                            evaluation.samples().end())},
           {"kl", mean}});
    }
    list.push_back({{"index", round.index()},
                    {"purpose", round.purpose()},
                    {"history_hash", round.history_hash()},
                    {"evaluations", evaluations}});
    table.AddRow({absl::StrCat(round.index()), round.purpose(),
                  absl::StrCat(round.evaluations_size()), absl::StrCat(samples),
                  any ? FormatFixed(best, 5) : "-",
                  round.history_hash().substr(0, 16)});
  }
  if (flags.json) {
    std::printf("%s\n", list.dump().c_str());
  } else {
    std::printf("%s", table.Format(UseColor()).c_str());
  }
  return absl::OkStatus();
}

using JobsAction = absl::Status (*)(ServiceClient&, const JobsFlags&);
using JobCall = absl::StatusOr<v1::Job> (ServiceClient::*)(const std::string&);

// A call that returns the job as it is afterwards.
template <JobCall call>
absl::Status CallAndPrint(ServiceClient& client, const JobsFlags& flags) {
  auto job = (client.*call)(JobName(flags.job));
  if (!job.ok()) return job.status();
  Print(*job, flags.json);
  return absl::OkStatus();
}

absl::Status Delete(ServiceClient& client, const JobsFlags& flags) {
  const std::string name = JobName(flags.job);
  if (absl::Status s = client.DeleteJob(name); !s.ok()) return s;
  if (flags.json) {
    std::printf("%s\n", nlohmann::json{{"deleted", name}}.dump().c_str());
  } else {
    std::printf("%s deleted; its measurements and levels stay\n", name.c_str());
  }
  return absl::OkStatus();
}

absl::Status Explain(ServiceClient& client, const JobsFlags& flags) {
  auto told = client.ExplainJob(JobName(flags.job));
  if (!told.ok()) return told.status();
  if (flags.json) {
    const nlohmann::json json = {
        {"job", JobName(flags.job)},
        {"reasons", std::vector<std::string>(told->reasons().begin(),
                                             told->reasons().end())},
        {"queued_tasks", told->queued_tasks()},
        {"leased_tasks", told->leased_tasks()},
        {"resting_tasks", told->resting_tasks()},
        {"awaited_audits", told->awaited_audits()},
        {"able_workers", told->able_workers()},
        {"busy_workers", told->busy_workers()}};
    std::printf("%s\n", json.dump(2).c_str());
    return absl::OkStatus();
  }
  std::printf("%s:\n", JobName(flags.job).c_str());
  for (const std::string& reason : told->reasons()) {
    std::printf("- %s\n", reason.c_str());
  }
  return absl::OkStatus();
}

void AddAction(CLI::App& jobs, RunCommand& run, const char* name,
               const char* help, bool needs_job, JobsAction action) {
  auto flags = std::make_shared<JobsFlags>();
  CLI::App* command = jobs.add_subcommand(
      name, absl::StrCat(help, "\n\nExample:\n  evopress jobs ", name,
                         needs_job ? " jobs/1f3a" : ""));
  if (needs_job) {
    command->add_option("JOB", flags->job, "Name of the job")->required();
  }
  AddConnectionFlags(*command, flags->connection);
  AddJsonFlag(*command, flags->json);
  command->callback([flags, action, &run] {
    run = [flags, action] {
      auto connection = Connect(flags->connection);
      if (!connection.ok()) {
        return ReportError(connection.status(), flags->json);
      }
      return ReportError(action(*connection->client, *flags), flags->json);
    };
  });
}

}  // namespace

void AddJobsCommand(CLI::App& app, RunCommand& run) {
  CLI::App* jobs = app.add_subcommand(
      "jobs",
      "Lists, watches and steers jobs.\n\nExample:\n  evopress jobs list "
      "--server 127.0.0.1:50071\n");
  jobs->require_subcommand(1);
  AddAction(*jobs, run, "list", "All jobs, newest first.", false, List);
  AddAction(*jobs, run, "get", "One job with its results.", true,
            CallAndPrint<&ServiceClient::GetJob>);
  AddAction(*jobs, run, "watch", "Follows a job to its end.", true, Watch);
  AddAction(*jobs, run, "pause", "Stops leasing work of a job.", true,
            CallAndPrint<&ServiceClient::PauseJob>);
  AddAction(*jobs, run, "resume", "Goes on with a paused job.", true,
            CallAndPrint<&ServiceClient::ResumeJob>);
  AddAction(*jobs, run, "cancel", "Ends a job for good; its measurements stay.",
            true, CallAndPrint<&ServiceClient::CancelJob>);
  AddAction(*jobs, run, "delete", "Forgets a job that has ended.", true,
            Delete);
  AddAction(*jobs, run, "rounds",
            "Every round of the search with what was measured.", true, Rounds);
  AddAction(*jobs, run, "explain", "Why a job stands where it stands.", true,
            Explain);
}

}  // namespace evopress::client
