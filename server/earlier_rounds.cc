#include "server/earlier_rounds.h"

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/conversions.h"

namespace evopress::server {
namespace {

constexpr int64_t kRoundsPerPage = 64;

const v1::TokenSetRef* SearchSet(const v1::JobSpec& spec) {
  for (const v1::TokenSetRef& set : spec.data()) {
    if (set.role() == v1::TokenSetRef::SEARCH) return &set;
  }
  return nullptr;
}

// Names, layers and levels in one order; costs, groups and budgets may differ.
bool SameUnits(const v1::SearchSpace& a, const v1::SearchSpace& b) {
  if (a.units_size() != b.units_size()) return false;
  for (int u = 0; u < a.units_size(); ++u) {
    const v1::Unit& left = a.units(u);
    const v1::Unit& right = b.units(u);
    if (left.name() != right.name() || left.module() != right.module() ||
        left.menu_size() != right.menu_size()) {
      return false;
    }
    for (int l = 0; l < left.menu_size(); ++l) {
      if (left.menu(l).name() != right.menu(l).name()) return false;
    }
  }
  return true;
}

// What keeps measurements of `earlier` from being some of `spec`, or empty.
std::string Difference(const v1::JobSpec& spec, const v1::JobSpec& earlier) {
  if (earlier.model().hash() != spec.model().hash()) return "another model";
  if (!SameUnits(earlier.space(), spec.space())) {
    return "other units or menus (their order follows the first budget's kind)";
  }
  const v1::TokenSetRef* mine = SearchSet(spec);
  const v1::TokenSetRef* theirs = SearchSet(earlier);
  if (mine == nullptr || theirs == nullptr ||
      mine->sha256() != theirs->sha256()) {
    return "other search tokens (by text, number or sequence length)";
  }
  return "";
}

absl::StatusOr<const JobRecord*> FindJob(const std::string& history,
                                         const std::vector<JobRecord>& jobs) {
  for (const JobRecord& job : jobs) {
    if (job.history_hash == history && job.state == v1::Job::SUCCEEDED) {
      return &job;
    }
  }
  return absl::FailedPreconditionError(
      absl::StrCat("no job that has succeeded has the history ", history,
                   ", from which this one starts; was it deleted?"));
}

absl::StatusOr<v1::JobSpec> SpecOf(const JobRecord& job) {
  v1::JobSpec spec;
  if (!spec.ParseFromString(job.spec)) {
    return absl::DataLossError(
        absl::StrCat("the journaled spec of job ", job.id, " is damaged"));
  }
  return spec;
}

absl::Status AddRounds(const JobRecord& job, Journal& journal,
                       search::Archive& archive) {
  for (int64_t first = 0;; first += kRoundsPerPage) {
    auto rows = journal.LoadRounds(job.id, first, kRoundsPerPage);
    if (!rows.ok()) return rows.status();
    for (const RoundRow& row : *rows) {
      if (row.results.empty()) return absl::OkStatus();
      v1::RoundRecord record;
      v1::EvaluateResult flat;
      int next = 0;
      bool sound = record.ParseFromString(row.round) &&
                   flat.ParseFromString(row.results);
      for (const auto& evaluation : record.evaluations()) {
        auto assignment = proto::FromProto(evaluation.assignment());
        sound = sound && assignment.ok() &&
                next + evaluation.samples_size() <= flat.sums_size();
        if (!sound) break;
        auto& known = archive[*assignment];
        for (const int32_t sample : evaluation.samples()) {
          const v1::SampleSums& sums = flat.sums(next++);
          known.emplace(
              sample, search::SampleSums{sums.kl(), sums.topk_kl(), sums.nll(),
                                         sums.positions()});
        }
      }
      if (!sound) {
        return absl::DataLossError(absl::StrCat("round ", row.index,
                                                " in the journal of job ",
                                                job.id, " is damaged"));
      }
    }
    if (static_cast<int64_t>(rows->size()) < kRoundsPerPage) {
      return absl::OkStatus();
    }
  }
}

}  // namespace

absl::Status CheckStartFrom(const v1::JobSpec& spec,
                            const std::vector<JobRecord>& jobs) {
  for (const std::string& history : spec.start_from()) {
    auto job = FindJob(history, jobs);
    if (!job.ok()) return job.status();
    auto earlier = SpecOf(**job);
    if (!earlier.ok()) return earlier.status();
    if (const std::string what = Difference(spec, *earlier); !what.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "cannot start from jobs/", (*job)->id, ": it has ", what));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<search::Archive> LoadEarlierRounds(const v1::JobSpec& spec,
                                                  const JobRecord& record,
                                                  Journal& journal) {
  search::Archive archive;
  if (spec.start_from().empty()) return archive;
  auto jobs = journal.LoadJobs();
  if (!jobs.ok()) return jobs.status();
  std::vector<std::string> open(spec.start_from().begin(),
                                spec.start_from().end());
  std::set<std::string> seen;
  while (!open.empty()) {
    const std::string history = std::move(open.back());
    open.pop_back();
    if (!seen.insert(history).second) continue;
    auto job = FindJob(history, *jobs);
    if (!job.ok()) return job.status();
    auto earlier = SpecOf(**job);
    if (!earlier.ok()) return earlier.status();
    std::string what = Difference(spec, *earlier);
    if ((*job)->numeric_class != record.numeric_class) {
      what = absl::StrCat("another numeric class, ", (*job)->numeric_class,
                          " instead of ", record.numeric_class);
    } else if ((*job)->level_table_sha256 != record.level_table_sha256) {
      what = "other levels (by statistics or method)";
    }
    if (!what.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "cannot start from jobs/", (*job)->id, ": it has ", what));
    }
    absl::Status added = AddRounds(**job, journal, archive);
    if (!added.ok()) return added;
    open.insert(open.end(), earlier->start_from().begin(),
                earlier->start_from().end());
  }
  return archive;
}

}  // namespace evopress::server
