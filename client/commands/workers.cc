// evopress workers: the fleet of a coordinator.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/connection.h"
#include "client/exit_code.h"
#include "client/job_flags.h"
#include "client/job_text.h"
#include "client/progress_line.h"
#include "client/text_table.h"

namespace evopress::client {
namespace {

struct WorkersFlags {
  ConnectionFlags connection;
  std::string worker;
  bool json = false;
};

absl::Status List(const WorkersFlags& flags) {
  auto connection = Connect(flags.connection);
  if (!connection.ok()) return connection.status();
  auto workers = connection->client->ListWorkers();
  if (!workers.ok()) return workers.status();
  nlohmann::json list = nlohmann::json::array();
  TextTable table({"worker", "state", ">leases", ">tasks done", "host",
                   "numeric class", "last seen (UTC)"});
  for (const auto& worker : *workers) {
    const std::string state =
        absl::AsciiStrToLower(v1::Worker::State_Name(worker.state()));
    list.push_back({{"worker_id", worker.worker_id()},
                    {"state", state},
                    {"numeric_class", worker.numeric_class()},
                    {"host", worker.host()},
                    {"version", worker.version()},
                    {"leases", worker.leases()},
                    {"completed_tasks", worker.completed_tasks()},
                    {"last_seen", TimeText(worker.last_seen())}});
    table.AddRow({worker.worker_id(), state, absl::StrCat(worker.leases()),
                  FormatCount(worker.completed_tasks()), worker.host(),
                  worker.numeric_class(), TimeText(worker.last_seen())});
  }
  std::printf(
      "%s%s",
      flags.json ? list.dump(2).c_str() : table.Format(UseColor()).c_str(),
      flags.json ? "\n" : "");
  return absl::OkStatus();
}

absl::Status Drain(const WorkersFlags& flags) {
  auto connection = Connect(flags.connection);
  if (!connection.ok()) return connection.status();
  if (absl::Status s = connection->client->DrainWorker(flags.worker); !s.ok()) {
    return s;
  }
  if (flags.json) {
    std::printf("%s\n",
                nlohmann::json{{"draining", flags.worker}}.dump().c_str());
  } else {
    std::printf("%s finishes what it holds and takes no more\n",
                flags.worker.c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddWorkersCommand(CLI::App& app, RunCommand& run) {
  CLI::App* workers = app.add_subcommand(
      "workers",
      "Lists and drains workers.\n\nExample:\n  evopress workers list\n");
  workers->require_subcommand(1);
  auto list_flags = std::make_shared<WorkersFlags>();
  CLI::App* list = workers->add_subcommand(
      "list", "All workers.\n\nExample:\n  evopress workers list --json\n");
  AddConnectionFlags(*list, list_flags->connection);
  AddJsonFlag(*list, list_flags->json);
  list->callback([list_flags, &run] {
    run = [list_flags] {
      return ReportError(List(*list_flags), list_flags->json);
    };
  });
  auto drain_flags = std::make_shared<WorkersFlags>();
  CLI::App* drain = workers->add_subcommand(
      "drain",
      "Tells a worker to finish and stop.\n\nExample:\n  evopress workers "
      "drain gpu-node-7\n");
  drain->add_option("WORKER", drain_flags->worker, "Id of the worker")
      ->required();
  AddConnectionFlags(*drain, drain_flags->connection);
  AddJsonFlag(*drain, drain_flags->json);
  drain->callback([drain_flags, &run] {
    run = [drain_flags] {
      return ReportError(Drain(*drain_flags), drain_flags->json);
    };
  });
}

}  // namespace evopress::client
