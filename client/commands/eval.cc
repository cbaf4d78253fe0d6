// evopress eval: one assignment, or the model itself, on texts.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/exit_code.h"
#include "client/measurement.h"

namespace evopress::client {
namespace {

struct EvalFlags {
  MeasurementFlags measurement;
  std::string assignment;
  std::string uniform;
};

absl::Status RunEval(const EvalFlags& flags) {
  std::vector<std::string> sources;
  if (!flags.assignment.empty()) sources.push_back(flags.assignment);
  if (!flags.uniform.empty()) {
    sources.push_back(absl::StrCat("uniform:", flags.uniform));
  }
  return RunMeasurement(flags.measurement, sources);
}

}  // namespace

void AddEvalCommand(CLI::App& app, RunCommand& run) {
  auto flags = std::make_shared<EvalFlags>();
  CLI::App* command = app.add_subcommand(
      "eval",
      "Measures an assignment: KL divergence to the uncompressed model and "
      "perplexity,\nwith standard errors over sequences. Without an "
      "assignment: the model's own\nperplexity.\n\n"
      "Example:\n  evopress eval smol.gguf --assignment result/ --text "
      "wiki=wiki.txt \\\n    --calibration c4.txt\n  evopress eval smol.gguf "
      "--uniform 3 --text wiki=wiki.txt\n");
  AddMeasurementFlags(*command, flags->measurement);
  command->add_option("--assignment", flags->assignment,
                      "File of \"layer: bits\" or \"layer: level\" lines, or "
                      "the directory of a result");
  command->add_option("--uniform", flags->uniform,
                      "All layers at these bits, or at this level");
  command->callback([flags, &run] {
    run = [flags] {
      return ReportError(RunEval(*flags), flags->measurement.json);
    };
  });
}

}  // namespace evopress::client
