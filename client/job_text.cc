#include "client/job_text.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/result_table.h"
#include "client/text_table.h"

namespace evopress::client {

std::string TimeText(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0) return "";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S",
                          absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
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
                         {"evaluated_tokens", job.evaluated_tokens()},
                         {"level_table_sha256", job.level_table_sha256()},
                         {"history_hash", job.history_hash()},
                         {"create_time", TimeText(job.create_time())},
                         {"end_time", TimeText(job.end_time())}};
  if (job.has_incumbent() && std::isfinite(job.incumbent().fitness())) {
    json["incumbent_fitness"] = job.incumbent().fitness();
  }
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
                  FormatCount(job.evaluated_tokens()), " tokens measured\n");
  if (job.has_incumbent() && std::isfinite(job.incumbent().fitness())) {
    absl::StrAppend(&text, "  incumbent      fitness ",
                    FormatFixed(job.incumbent().fitness(), 5), "\n");
  }
  absl::StrAppend(&text, "  numeric class  ", job.numeric_class(),
                  "\n  history hash   ", job.history_hash(), "\n");
  auto table = MakeResultTable(job);
  if (table.ok() && !table->rows.empty()) {
    absl::StrAppend(&text, "\n", FormatTable(*table, bold));
  }
  return text;
}

}  // namespace evopress::client
