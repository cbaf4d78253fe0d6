// evopress backup: a copy of a coordinator's journal, while it works.
#include <cstdio>
#include <memory>
#include <string>

#include "client/commands/command.h"
#include "client/connection.h"
#include "client/exit_code.h"
#include "client/job_flags.h"
#include "client/text_table.h"
#include "nlohmann/json.hpp"
#include "quant/atomic_file.h"

namespace evopress::client {
namespace {

struct BackupFlags {
  ConnectionFlags connection;
  std::string file;
  bool json = false;
};

absl::Status Backup(const BackupFlags& flags) {
  auto connection = Connect(flags.connection);
  if (!connection.ok()) return connection.status();
  auto file = quant::AtomicFile::Create(flags.file);
  if (!file.ok()) return file.status();
  absl::Status status = connection->client->BackupJournal(
      [&](const std::string& bytes) { return (*file)->Append(bytes); });
  if (status.ok()) status = (*file)->Commit();
  if (!status.ok()) return status;
  const int64_t size = (*file)->size();
  if (flags.json) {
    const nlohmann::json json = {{"file", flags.file}, {"bytes", size}};
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    std::printf("%s: %s bytes\n", flags.file.c_str(),
                FormatCount(size).c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddBackupCommand(CLI::App& app, RunCommand& run) {
  auto flags = std::make_shared<BackupFlags>();
  CLI::App* command = app.add_subcommand(
      "backup",
      "Copies a coordinator's journal as of one moment, while it works; needs\n"
      "the role admin. To restore it: stop evopressd, put the file in place "
      "of\n"
      "DATA/journal.sqlite (delete journal.sqlite-wal and -shm beside it), "
      "and\n"
      "start evopressd. The artifacts are files of their own in "
      "DATA/artifacts:\n"
      "copy these after the journal.\n\n"
      "Example:\n  evopress backup monday.sqlite --server coordinator:50071\n");
  command->add_option("FILE", flags->file, "Where to write it")->required();
  AddConnectionFlags(*command, flags->connection);
  AddJsonFlag(*command, flags->json);
  command->callback([flags, &run] {
    run = [flags] { return ReportError(Backup(*flags), flags->json); };
  });
}

}  // namespace evopress::client
