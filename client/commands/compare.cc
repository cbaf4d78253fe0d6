// evopress compare: assignments side by side on the same sequences.
#include <memory>
#include <string>
#include <vector>

#include "client/commands/command.h"
#include "client/exit_code.h"
#include "client/measurement.h"

namespace evopress::client {
namespace {

struct CompareFlags {
  MeasurementFlags measurement;
  std::vector<std::string> assignments;
};

}  // namespace

void AddCompareCommand(CLI::App& app, RunCommand& run) {
  auto flags = std::make_shared<CompareFlags>();
  CLI::App* command = app.add_subcommand(
      "compare",
      "Measures several assignments on the same sequences and compares each "
      "with the\nfirst, in pairs.\n\n"
      "Example:\n  evopress compare smol.gguf uniform:3 result/ "
      "--text wiki=wiki.txt \\\n    --text code=code.txt --calibration "
      "c4.txt\n");
  AddMeasurementFlags(*command, flags->measurement);
  command
      ->add_option("ASSIGNMENTS", flags->assignments,
                   "Files, result directories, NAME=PATH or uniform:BITS; "
                   "the first is the baseline")
      ->required();
  command->callback([flags, &run] {
    run = [flags] {
      return ReportError(RunMeasurement(flags->measurement, flags->assignments),
                         flags->measurement.json);
    };
  });
}

}  // namespace evopress::client
