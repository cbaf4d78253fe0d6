#include "client/earlier_jobs.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/connection.h"
#include "client/export_json.h"
#include "client/job_run.h"
#include "proto/conversions.h"
#include "search/digest.h"
#include "server/earlier_rounds.h"

namespace evopress::client {

absl::Status StartFromEarlier(ServiceClient& client, JobPlan& plan) {
  if (plan.from.empty()) return absl::OkStatus();
  std::set<std::string> histories;
  for (const std::string& source : plan.from) {
    std::error_code error;
    auto job = std::filesystem::is_directory(source, error)
                   ? ReadExportedJob(source)
                   : client.GetJob(JobName(source));
    absl::Status status = job.status();
    if (status.ok()) status = CheckSucceeded(*job);
    if (!status.ok()) {
      return absl::Status(
          absl::StatusCode::kFailedPrecondition,
          absl::StrCat("cannot start from ", source, ": ", status.message()));
    }
    histories.insert(job->history_hash());
  }
  search::CanonicalWriter id("evopress.request.from.1");
  id.Text(plan.request_id);
  for (const std::string& history : histories) {
    plan.spec.add_start_from(history);
    id.Text(history);
  }
  plan.request_id = id.Sha256();
  return absl::OkStatus();
}

absl::Status RehearseStart(ServiceClient& client, JobPlan& plan) {
  if (absl::Status s = StartFromEarlier(client, plan); !s.ok()) return s;
  auto jobs = client.ListJobs();
  if (!jobs.ok()) return jobs.status();
  std::vector<server::JobRecord> records;
  for (const v1::Job& listed : *jobs) {
    const auto& wanted = plan.spec.start_from();
    if (std::count(wanted.begin(), wanted.end(), listed.history_hash()) == 0) {
      continue;
    }
    auto job = client.GetJob(listed.name());  // lists leave out the spaces
    if (!job.ok()) return job.status();
    server::JobRecord& record = records.emplace_back();
    record.id = job->name().substr(job->name().find('/') + 1);
    record.spec = job->spec().SerializeAsString();
    record.state = job->state();
    record.history_hash = job->history_hash();
  }
  if (absl::Status s = server::CheckStartFrom(plan.spec, records); !s.ok()) {
    return s;
  }
  v1::Job job;
  *job.mutable_spec() = plan.spec;
  auto archive = FetchArchive(client, job);
  if (!archive.ok()) return archive.status();
  plan.archive = *std::move(archive);
  return absl::OkStatus();
}

absl::StatusOr<search::Archive> FetchArchive(ServiceClient& client,
                                             const v1::Job& job) {
  search::Archive archive;
  if (job.spec().start_from().empty()) return archive;
  auto jobs = client.ListJobs();
  if (!jobs.ok()) return jobs.status();
  std::vector<std::string> open(job.spec().start_from().begin(),
                                job.spec().start_from().end());
  std::set<std::string> seen;
  while (!open.empty()) {
    const std::string history = std::move(open.back());
    open.pop_back();
    if (!seen.insert(history).second) continue;
    const v1::Job* earlier = nullptr;
    for (const v1::Job& other : *jobs) {
      if (other.history_hash() == history) earlier = &other;
    }
    if (earlier == nullptr) {
      return absl::FailedPreconditionError(
          absl::StrCat("no job has the history ", history,
                       " any more, from which ", job.name(), " started"));
    }
    auto rounds = client.ListRounds(earlier->name());
    if (!rounds.ok()) return rounds.status();
    for (const v1::RoundRecord& round : *rounds) {
      for (const v1::RoundRecord::Evaluation& evaluation :
           round.evaluations()) {
        auto assignment = proto::FromProto(evaluation.assignment());
        if (!assignment.ok()) return assignment.status();
        auto& known = archive[*assignment];
        for (int i = 0; i < evaluation.sums_size(); ++i) {
          auto sums = proto::FromProto(evaluation.sums(i));
          if (!sums.ok()) return sums.status();
          known.emplace(evaluation.samples(i), *sums);
        }
      }
    }
    open.insert(open.end(), earlier->spec().start_from().begin(),
                earlier->spec().start_from().end());
  }
  return archive;
}

}  // namespace evopress::client
