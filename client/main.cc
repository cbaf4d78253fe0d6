// evopress: the command line of EvoPress Service.
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>

#include "CLI/CLI.hpp"
#include "client/commands/command.h"
#include "client/exit_code.h"
#include "client/version.h"

int main(int argc, char** argv) {
  using namespace evopress::client;  // NOLINT: main only
  signal(SIGPIPE, SIG_IGN);
  // Coordinator and workers log; standard output belongs to results, and
  // people get a progress line. EVOPRESS_LOG=info shows everything.
  spdlog::set_default_logger(spdlog::stderr_color_mt("evopress"));
  const char* level = std::getenv("EVOPRESS_LOG");
  spdlog::set_level(level != nullptr ? spdlog::level::from_str(level)
                                     : spdlog::level::warn);
  CLI::App app{
      "Searches, for every layer of a language model, the compression level\n"
      "that hurts least under an exact global budget.\n\n"
      "Example:\n"
      "  evopress search smol.gguf --text c4.txt --target-bits 3 --out "
      "result\n"};
  app.set_version_flag("--version", kVersion);
  app.require_subcommand(1);
  RunCommand run;
  AddPlanCommand(app, run);
  AddSearchCommand(app, run);
  AddSubmitCommand(app, run);
  AddJobsCommand(app, run);
  AddWorkersCommand(app, run);
  AddBackupCommand(app, run);
  AddInspectCommand(app, run);
  AddLevelsCommand(app, run);
  AddEvalCommand(app, run);
  AddCompareCommand(app, run);
  AddExportCommand(app, run);
  AddReportCommand(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return run ? run() : kExitUsage;
}
