// The commands of `evopress`, one file each. Every function adds a subcommand
// to `app`; when the command line names it, `run` becomes what main() calls
// and whose result is the exit code (exit_code.h).
#ifndef EVOPRESS_CLIENT_COMMANDS_COMMAND_H_
#define EVOPRESS_CLIENT_COMMANDS_COMMAND_H_

#include <functional>

#include "CLI/CLI.hpp"

namespace evopress::client {

using RunCommand = std::function<int()>;

void AddPlanCommand(CLI::App& app, RunCommand& run);
void AddSearchCommand(CLI::App& app, RunCommand& run);
void AddSubmitCommand(CLI::App& app, RunCommand& run);
void AddJobsCommand(CLI::App& app, RunCommand& run);
void AddWorkersCommand(CLI::App& app, RunCommand& run);
void AddBackupCommand(CLI::App& app, RunCommand& run);
void AddInspectCommand(CLI::App& app, RunCommand& run);
void AddLevelsCommand(CLI::App& app, RunCommand& run);
void AddEvalCommand(CLI::App& app, RunCommand& run);
void AddCompareCommand(CLI::App& app, RunCommand& run);
void AddExportCommand(CLI::App& app, RunCommand& run);
void AddReportCommand(CLI::App& app, RunCommand& run);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_COMMANDS_COMMAND_H_
