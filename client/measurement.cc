#include "client/measurement.h"

#include <cstdio>
#include <utility>

#include "client/assignment_source.h"
#include "client/calibration_text.h"
#include "client/job_plan.h"
#include "client/job_run.h"
#include "client/progress_line.h"
#include "client/result_table.h"

namespace evopress::client {

void AddMeasurementFlags(CLI::App& app, MeasurementFlags& flags) {
  app.add_option("MODEL", flags.job.data.model,
                 "The uncompressed model: GGUF file or Hugging Face directory")
      ->required();
  app.add_option("--text", flags.texts,
                 "Text to measure on, as NAME=FILE; may be repeated")
      ->allow_extra_args(false)
      ->required();
  app.add_option("--text-tokens", flags.tokens, "Tokens of each text")
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 40))
      ->capture_default_str();
  app.add_option(
         "--calibration", flags.job.data.calibration,
         "Text for the quantizer's statistics, as [NAME=]FILE[:WEIGHT]; "
         "may be repeated (default: the first sequences of the first "
         "text, which are then not measured)")
      ->allow_extra_args(false);
  app.add_option("--statistics-tokens", flags.job.data.statistics_tokens,
                 "Tokens from which the statistics are made")
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--sequence-length", flags.job.data.sequence_length,
                 "Tokens of each sequence")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  AddMenuFlags(app, flags.job);
  AddLocalFlags(app, flags.local);
  AddJsonFlag(app, flags.json);
}

absl::Status RunMeasurement(const MeasurementFlags& flags,
                            const std::vector<std::string>& sources) {
  JobFlags job = flags.job;
  job.data.held_out = flags.texts;
  job.data.held_out_tokens = flags.tokens;
  if (job.data.calibration.empty()) {
    job.data.text = ParseNamedFile(flags.texts.front()).path;
  }
  std::vector<NamedText> texts;
  if (sources.empty()) {
    // The reference alone needs no levels.
    job.menu = "keep";
  } else {
    auto model = OpenModel(job.data.model);
    if (!model.ok()) return model.status();
    auto outer = ParseOuterRule(job.outer);
    if (!outer.ok()) return outer.status();
    for (const std::string& source : sources) {
      auto text = ReadAssignmentSource(source, **model, *outer);
      if (!text.ok()) return text.status();
      texts.push_back(*std::move(text));
    }
  }
  auto plan = PlanMeasurement(job, texts);
  if (!plan.ok()) return plan.status();
  auto run = RunLocally(*plan, flags.local);
  if (!run.ok()) return run.status();
  auto table =
      MakeResultTable(run->job, texts.empty() ? "" : texts.front().name);
  if (!table.ok()) return table.status();
  // The strategy's own winner is one of the rows below it.
  std::erase_if(table->rows,
                [](const ResultRow& row) { return row.name == "winner"; });
  if (flags.json) {
    const nlohmann::json json = {{"job", run->job.name()},
                                 {"numeric_class", run->job.numeric_class()},
                                 {"warnings", plan->warnings},
                                 {"results", ToJson(*table)}};
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    std::printf("%s", FormatTable(*table, UseColor()).c_str());
  }
  return absl::OkStatus();
}

}  // namespace evopress::client
