#include "client/job_text.h"

#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/result_table.h"
#include "client/standing_text.h"
#include "client/text_table.h"

namespace evopress::client {

double Seconds(const google::protobuf::Duration& duration) {
  return static_cast<double>(duration.seconds()) + duration.nanos() / 1e9;
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0) return "";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S",
                          absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

std::string StopName(const v1::Job& job) {
  return job.stopped_by() == v1::Job::NOT_STOPPED
             ? ""
             : absl::AsciiStrToLower(v1::Job::Stop_Name(job.stopped_by()));
}

bool IsReproducible(const v1::Job& job) {
  return job.stopped_by() != v1::Job::DEADLINE;
}

std::string LedgerText(const v1::Job& job) {
  std::string text =
      absl::StrCat(FormatCount(job.search_tokens()), " tokens asked for");
  if (job.known_tokens() > 0) {
    absl::StrAppend(&text, ", of which ", FormatCount(job.known_tokens()),
                    " were known already");
  }
  if (job.start_tokens() > 0) {
    absl::StrAppend(&text, "; started from ", FormatCount(job.start_tokens()),
                    " that earlier jobs measured");
  }
  absl::StrAppend(&text, "; ", FormatCount(job.evaluated_tokens()),
                  " measured, the report's too");
  if (job.audited_tasks() > 0) {
    absl::StrAppend(&text, "; a second worker confirmed ",
                    FormatCount(job.audited_tasks()), " tasks");
  }
  if (job.unaudited_tasks() > 0) {
    absl::StrAppend(&text, "; unaudited: nobody was there to confirm ",
                    FormatCount(job.unaudited_tasks()), " tasks");
  }
  return text;
}

std::string StopText(const v1::Job& job) {
  switch (job.stopped_by()) {
    case v1::Job::MAX_TOKENS:
      return absl::StrCat("ended by --max-tokens after ",
                          FormatCount(job.search_tokens()),
                          " tokens: the best so far won\n");
    case v1::Job::DEADLINE:
      return absl::StrCat("NOT REPRODUCIBLE: ended by --max-hours after ",
                          job.rounds(),
                          " rounds; the best so far won, and another run may "
                          "end elsewhere\n");
    default:
      return "";
  }
}

nlohmann::json JobJson(const v1::Job& job) {
  nlohmann::json json = {{"name", job.name()},
                         {"display_name", job.spec().display_name()},
                         {"state", StateName(job.state())},
                         {"error", job.error()},
                         {"numeric_class", job.numeric_class()},
                         {"model_hash", job.spec().model().hash()},
                         {"model", job.spec().model().display_name()},
                         {"seed", job.spec().seed()},
                         {"progress", job.progress()},
                         {"activity", job.activity()},
                         {"rounds", job.rounds()},
                         {"search_tokens", job.search_tokens()},
                         {"known_tokens", job.known_tokens()},
                         {"start_tokens", job.start_tokens()},
                         {"evaluated_tokens", job.evaluated_tokens()},
                         {"audited_tasks", job.audited_tasks()},
                         {"unaudited_tasks", job.unaudited_tasks()},
                         {"build_seconds", Seconds(job.build_time())},
                         {"measure_seconds", Seconds(job.measure_time())},
                         {"stopped_by", StopName(job)},
                         {"reproducible", IsReproducible(job)},
                         {"level_table_sha256", job.level_table_sha256()},
                         {"history_hash", job.history_hash()},
                         {"create_time", TimeText(job.create_time())},
                         {"end_time", TimeText(job.end_time())}};
  if (job.has_incumbent() && std::isfinite(job.incumbent().fitness())) {
    json["incumbent_fitness"] = job.incumbent().fitness();
  }
  AddStandings(job, json);
  auto table = MakeResultTable(job);
  if (table.ok() && !table->rows.empty()) json["results"] = ToJson(*table);
  return json;
}

std::string JobText(const v1::Job& job, bool bold) {
  std::string text = absl::StrCat(job.name(), "  ", job.spec().display_name(),
                                  "\n  state          ", StateName(job.state()),
                                  " ", static_cast<int>(job.progress() * 100),
                                  " %  ", job.activity(), "\n");
  if (!job.error().empty()) {
    absl::StrAppend(&text, "  error          ", job.error(), "\n");
  }
  absl::StrAppend(&text, "  rounds         ", job.rounds(), ", ",
                  LedgerText(job), "\n  time           ",
                  absl::FormatDuration(
                      absl::Seconds(std::llround(Seconds(job.build_time())))),
                  " building, ",
                  absl::FormatDuration(
                      absl::Seconds(std::llround(Seconds(job.measure_time())))),
                  " measuring\n");
  if (job.has_incumbent() && std::isfinite(job.incumbent().fitness())) {
    absl::StrAppend(&text, "  incumbent      fitness ",
                    FormatFixed(job.incumbent().fitness(), 5), "\n");
  }
  for (const v1::Candidate* best : BestsOf(job)) {
    const std::string budget =
        best->target().empty() ? "" : absl::StrCat(best->target(), ": ");
    if (const std::string values = CalibrationText(job, *best);
        !values.empty()) {
      absl::StrAppend(&text, "  calibration    ", budget, values, "\n");
    }
    if (const std::string lead = LeadText(*best); !lead.empty()) {
      absl::StrAppend(&text, "  lead           ", budget, lead, "\n");
    }
  }
  absl::StrAppend(&text, "  numeric class  ", job.numeric_class(),
                  "\n  history hash   ", job.history_hash(), "\n");
  auto table = MakeResultTable(job);
  if (table.ok() && !table->rows.empty()) {
    absl::StrAppend(&text, "\n", FormatTable(*table, bold));
  }
  absl::StrAppend(&text, StopText(job));
  return text;
}

}  // namespace evopress::client
