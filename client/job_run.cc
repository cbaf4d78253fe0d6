#include "client/job_run.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/earlier_jobs.h"
#include "client/interrupt.h"
#include "client/progress_line.h"
#include "client/result_table.h"
#include "client/standing_text.h"
#include "client/text_table.h"
#include "search/budget.h"

namespace evopress::client {
namespace {

constexpr int kMaxSuccessors = 100;

// What a live line says of a job, with its rates since `begin`.
class JobProgress {
 public:
  std::string Describe(const v1::Job& job) {
    const absl::Time now = absl::Now();
    if (job.state() != state_) {
      state_ = job.state();
      begin_ = now;
      begin_progress_ = job.progress();
      begin_tokens_ = job.evaluated_tokens();
    }
    const absl::Duration elapsed = now - begin_;
    std::string text =
        absl::StrCat(StateName(job.state()), " ",
                     static_cast<int>(job.progress() * 100), " %");
    if (!job.activity().empty()) absl::StrAppend(&text, "  ", job.activity());
    if (job.has_incumbent() && std::isfinite(job.incumbent().fitness()) &&
        job.state() == v1::Job::SEARCHING) {
      absl::StrAppend(&text, "  fitness ",
                      FormatFixed(job.incumbent().fitness(), 4));
      if (job.spec().has_calibration()) {
        absl::StrAppend(&text, " (", CalibrationText(job, job.incumbent()),
                        ")");
      }
      if (const std::string lead = ShortLeadText(job.incumbent());
          !lead.empty()) {
        absl::StrAppend(&text, "  ", lead);
      }
    }
    if (job.evaluated_tokens() > 0) {
      absl::StrAppend(&text, "  ", FormatCount(job.evaluated_tokens()),
                      " tokens");
      const double seconds = absl::ToDoubleSeconds(elapsed);
      const double rate =
          static_cast<double>(job.evaluated_tokens() - begin_tokens_) / seconds;
      if (seconds > 1 && rate >= 1) {
        absl::StrAppend(&text, ", ", FormatCount(std::llround(rate)), "/s");
      }
    }
    const std::string eta = EtaText(
        (job.progress() - begin_progress_) / (1 - begin_progress_), elapsed);
    if (!eta.empty()) absl::StrAppend(&text, "  ", eta);
    return text;
  }

 private:
  v1::Job::State state_ = v1::Job::STATE_UNSPECIFIED;
  absl::Time begin_;
  double begin_progress_ = 0;
  int64_t begin_tokens_ = 0;
};

absl::StatusOr<LocalRun> StartLocally(
    const LocalFlags& flags, const std::vector<std::string>& local_roots) {
  LocalServiceOptions options;
  options.data_dir = flags.data_dir;
  options.workers = flags.workers;
  options.threads = flags.threads;
  options.evaluator_binary = flags.evaluator;
  options.local_roots = local_roots;
  auto memory = search::ParseSize(flags.memory);
  if (!memory.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--memory: ", memory.status().message()));
  }
  options.memory_bytes = *memory;
  auto service = LocalService::Start(options);
  if (!service.ok()) return service.status();
  LocalRun run;
  run.service = *std::move(service);
  run.client = std::make_unique<ServiceClient>(run.service->link());
  return run;
}

}  // namespace

absl::StatusOr<v1::Job> CreateOrResume(ServiceClient& client,
                                       const JobPlan& plan) {
  for (int attempt = 0; attempt < kMaxSuccessors; ++attempt) {
    const std::string id =
        attempt == 0 ? plan.request_id
                     : absl::StrCat(plan.request_id, "-", attempt + 1);
    auto job = client.CreateJob(plan.spec, id);
    if (!job.ok()) return job.status();
    if (job->state() == v1::Job::FAILED || job->state() == v1::Job::CANCELLED) {
      continue;
    }
    if (job->state() == v1::Job::PAUSED) return client.ResumeJob(job->name());
    return job;
  }
  return absl::FailedPreconditionError(
      absl::StrCat(kMaxSuccessors,
                   " jobs of this command have failed or were cancelled; "
                   "delete them with `evopress jobs delete`"));
}

absl::StatusOr<v1::Job> FollowJob(ServiceClient& client,
                                  const std::string& name,
                                  const std::atomic<bool>& stop,
                                  const std::function<absl::Status()>& alive) {
  ProgressLine line;
  JobProgress progress;
  return client.WatchJob(name, stop, alive, [&](const v1::Job& job) {
    line.Show(StateName(job.state()), progress.Describe(job));
  });
}

absl::Status CheckSucceeded(const v1::Job& job) {
  if (job.state() == v1::Job::SUCCEEDED) return absl::OkStatus();
  return absl::AbortedError(
      absl::StrCat(job.name(), " is ", StateName(job.state()),
                   job.error().empty() ? "" : ": ", job.error()));
}

absl::StatusOr<LocalRun> RunLocally(JobPlan plan, const LocalFlags& flags) {
  const std::atomic<bool>& stop = Interrupted();
  ProgressLine line;
  for (const auto& warning : plan.warnings) {
    line.Note(absl::StrCat("warning: ", warning));
  }
  auto started = StartLocally(flags, plan.local_roots);
  if (!started.ok()) return started.status();
  LocalRun run = *std::move(started);
  if (absl::Status s = run.service->Provide(*run.client, plan.artifacts, stop);
      !s.ok()) {
    return s;
  }
  if (absl::Status s = StartFromEarlier(*run.client, plan); !s.ok()) return s;
  auto job = CreateOrResume(*run.client, plan);
  if (!job.ok()) return job.status();
  if (!HasEnded(*job)) {
    line.Note(absl::StrCat(job->name(), " in ", run.service->data_dir(),
                           job->rounds() > 0 ? ", going on where it was" : ""));
    run.service->StartWorkers();
    job = FollowJob(*run.client, job->name(), stop,
                    [&] { return run.service->alive(); });
    if (absl::IsCancelled(job.status())) {
      return absl::CancelledError(
          "interrupted; nothing is lost: the same command goes on where this "
          "one stopped");
    }
    if (!job.ok()) return job.status();
  }
  // Watching leaves nothing out, but a job that had ended long ago is read in
  // full as well.
  auto full = run.client->GetJob(job->name());
  if (!full.ok()) return full.status();
  run.job = *std::move(full);
  if (absl::Status s = CheckSucceeded(run.job); !s.ok()) return s;
  return run;
}

}  // namespace evopress::client
