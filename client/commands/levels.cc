// evopress levels: the compressed layers that searches choose from.
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/artifact_source.h"
#include "client/commands/command.h"
#include "client/connection.h"
#include "client/exit_code.h"
#include "client/export_input.h"
#include "client/job_flags.h"
#include "client/job_plan.h"
#include "client/job_run.h"
#include "client/level_table.h"
#include "client/progress_line.h"
#include "client/text_table.h"
#include "proto/conversions.h"
#include "quant/model_hash.h"
#include "quant/packed_weight.h"
#include "search/budget.h"

namespace evopress::client {
namespace {

namespace fs = std::filesystem;

struct BuildFlags {
  JobFlags job;
  LocalFlags local;
  bool json = false;
};

struct StoreFlags {
  ConnectionFlags connection;
  std::string job;
  bool yes = false;
  bool json = false;
};

void PrintTable(const v1::LevelTable& table, const std::string& job,
                bool as_json) {
  nlohmann::json list = nlohmann::json::array();
  TextTable text({"layer", "level", ">code bits", ">stored bits",
                  ">relative error", "blob"});
  for (const auto& unit : table.units()) {
    for (const auto& level : unit.levels()) {
      for (int l = 0; l < level.blobs_size() && l < unit.layers_size(); ++l) {
        const auto& blob = level.blobs(l);
        list.push_back({{"layer", unit.layers(l)},
                        {"level", level.name()},
                        {"code_bits", blob.code_bits()},
                        {"stored_bits", blob.stored_bits()},
                        {"relative_error", blob.relative_error()},
                        {"size_bytes", blob.size_bytes()},
                        {"sha256", blob.sha256()}});
        text.AddRow({unit.layers(l), level.name(),
                     FormatCount(blob.code_bits()),
                     FormatCount(blob.stored_bits()),
                     FormatFixed(blob.relative_error(), 6),
                     blob.sha256().substr(0, 16)});
      }
    }
  }
  if (as_json) {
    const nlohmann::json json = {{"job", job}, {"levels", list}};
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    std::printf("%s", text.Format(UseColor()).c_str());
  }
}

absl::Status Build(const BuildFlags& flags) {
  auto plan = PlanMeasurement(flags.job, {});
  if (!plan.ok()) return plan.status();
  auto run = RunLocally(*plan, flags.local);
  if (!run.ok()) return run.status();
  auto fetch = OpenArtifacts(run->service->link(), run->service->data_dir());
  if (!fetch.ok()) return fetch.status();
  auto table = FetchLevelTable(*fetch, run->job);
  if (!table.ok()) return table.status();
  PrintTable(*table, run->job.name(), flags.json);
  return absl::OkStatus();
}

absl::Status List(const StoreFlags& flags) {
  auto connection = Connect(flags.connection);
  if (!connection.ok()) return connection.status();
  auto fetch = OpenArtifacts(connection->link, connection->data_dir);
  if (!fetch.ok()) return fetch.status();
  auto job = connection->client->GetJob(JobName(flags.job));
  if (!job.ok()) return job.status();
  auto table = FetchLevelTable(*fetch, *job);
  if (!table.ok()) return table.status();
  PrintTable(*table, job->name(), flags.json);
  return absl::OkStatus();
}

// The artifacts of a data directory: path by hash.
std::map<std::string, fs::path> StoredArtifacts(const std::string& data_dir) {
  std::map<std::string, fs::path> found;
  std::error_code error;
  fs::recursive_directory_iterator at(fs::path(data_dir) / "artifacts", error);
  if (error) return found;
  for (; at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (error) break;
    const std::string name = at->path().filename().string();
    if (proto::IsSha256(name) && at->is_regular_file(error)) {
      found[name] = at->path();
    }
  }
  return found;
}

absl::Status RequireData(const StoreFlags& flags) {
  if (!flags.connection.data_dir.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "this command reads a data folder: name it with --data");
}

// All blobs named by the level tables of all jobs.
absl::StatusOr<std::set<std::string>> ReferencedBlobs(
    const Connection& connection, const FetchArtifact& fetch,
    std::vector<std::string>* problems) {
  auto jobs = connection.client->ListJobs();
  if (!jobs.ok()) return jobs.status();
  std::set<std::string> blobs;
  for (const auto& job : *jobs) {
    if (job.level_table_sha256().empty()) continue;
    auto table = FetchLevelTable(fetch, job);
    if (!table.ok()) {
      problems->push_back(
          absl::StrCat(job.name(), ": ", table.status().message()));
      continue;
    }
    for (const auto& unit : table->units()) {
      for (const auto& level : unit.levels()) {
        for (const auto& blob : level.blobs()) {
          if (!blob.sha256().empty()) blobs.insert(blob.sha256());
        }
      }
    }
  }
  return blobs;
}

absl::Status Verify(const StoreFlags& flags) {
  if (absl::Status s = RequireData(flags); !s.ok()) return s;
  auto connection = Connect(flags.connection);
  if (!connection.ok()) return connection.status();
  auto fetch = OpenArtifacts(connection->link, connection->data_dir);
  if (!fetch.ok()) return fetch.status();
  std::vector<std::string> problems;
  const auto stored = StoredArtifacts(flags.connection.data_dir);
  ProgressLine line;
  int64_t done = 0;
  for (const auto& [sha256, path] : stored) {
    line.Show("verifying", absl::StrCat("verifying ", ++done, " of ",
                                        stored.size(), " artifacts"));
    auto manifest = quant::MakeModelManifest({path.string()});
    if (!manifest.ok()) {
      problems.push_back(
          absl::StrCat(path.string(), ": ", manifest.status().message()));
    } else if (manifest->files[0].sha256 != sha256) {
      problems.push_back(
          absl::StrCat(path.string(), ": hash is ", manifest->files[0].sha256));
    }
  }
  auto blobs = ReferencedBlobs(*connection, *fetch, &problems);
  if (!blobs.ok()) return blobs.status();
  for (const std::string& sha256 : *blobs) {
    const auto found = stored.find(sha256);
    if (found == stored.end()) {
      problems.push_back(absl::StrCat("blob ", sha256, " is missing"));
      continue;
    }
    auto weight = quant::ReadBlob(found->second.string());
    if (!weight.ok()) {
      problems.push_back(
          absl::StrCat("blob ", sha256, ": ", weight.status().message()));
    }
  }
  line.Clear();
  if (flags.json) {
    const nlohmann::json json = {{"artifacts", stored.size()},
                                 {"blobs", blobs->size()},
                                 {"problems", problems}};
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    for (const auto& problem : problems) std::printf("%s\n", problem.c_str());
    std::printf("%zu artifacts, %zu levels of jobs, %zu problems\n",
                stored.size(), blobs->size(), problems.size());
  }
  if (problems.empty()) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(problems.size(), " problems found"));
}

absl::Status Collect(const StoreFlags& flags) {
  if (absl::Status s = RequireData(flags); !s.ok()) return s;
  auto connection = Connect(flags.connection);
  if (!connection.ok()) return connection.status();
  auto fetch = OpenArtifacts(connection->link, connection->data_dir);
  if (!fetch.ok()) return fetch.status();
  auto jobs = connection->client->ListJobs();
  if (!jobs.ok()) return jobs.status();
  std::vector<std::string> problems;
  auto keep = ReferencedBlobs(*connection, *fetch, &problems);
  if (!keep.ok()) return keep.status();
  if (!problems.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("it is not certain what is needed: ", problems[0],
                     "; run `evopress levels verify` first"));
  }
  for (const auto& job : *jobs) {
    // An unfinished job may have built levels that no table names yet.
    if (!HasEnded(job)) {
      return absl::FailedPreconditionError(absl::StrCat(
          job.name(), " has not ended; finish or cancel it first"));
    }
    keep->insert(job.level_table_sha256());
    for (const auto& file : job.spec().model().files()) {
      keep->insert(file.sha256());
    }
    for (const auto& set : job.spec().data()) keep->insert(set.sha256());
  }
  int64_t files = 0;
  int64_t bytes = 0;
  for (const auto& [sha256, path] :
       StoredArtifacts(flags.connection.data_dir)) {
    if (keep->count(sha256) > 0) continue;
    std::error_code error;
    const auto size = fs::file_size(path, error);
    if (flags.yes && !fs::remove(path, error)) {
      return absl::UnavailableError(
          absl::StrCat("cannot remove ", path.string(), ": ", error.message()));
    }
    ++files;
    bytes += static_cast<int64_t>(size);
  }
  if (flags.json) {
    const nlohmann::json json = {
        {"files", files}, {"bytes", bytes}, {"removed", flags.yes}};
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    std::printf(
        "%lld files, %s%s\n", static_cast<long long>(files),
        search::FormatSize(bytes).c_str(),
        flags.yes ? " removed" : " needed by no job; --yes removes them");
  }
  return absl::OkStatus();
}

using StoreAction = absl::Status (*)(const StoreFlags&);

CLI::App* AddAction(CLI::App& levels, RunCommand& run, const char* name,
                    const std::string& help, StoreAction action,
                    const std::shared_ptr<StoreFlags>& flags) {
  CLI::App* command = levels.add_subcommand(name, help);
  AddConnectionFlags(*command, flags->connection);
  AddJsonFlag(*command, flags->json);
  command->callback([flags, action, &run] {
    run = [flags, action] { return ReportError(action(*flags), flags->json); };
  });
  return command;
}

}  // namespace

void AddLevelsCommand(CLI::App& app, RunCommand& run) {
  CLI::App* levels = app.add_subcommand(
      "levels",
      "Builds and keeps the compressed layers that searches choose from.\n\n"
      "Example:\n  evopress levels build smol.gguf --text c4.txt --menu "
      "gptq:2-6:g64\n");
  levels->require_subcommand(1);

  auto build_flags = std::make_shared<BuildFlags>();
  CLI::App* build = levels->add_subcommand(
      "build",
      "Makes all levels of a menu, so that searches start at once.\n\n"
      "Example:\n  evopress levels build smol.gguf --text c4.txt\n");
  build
      ->add_option("MODEL", build_flags->job.data.model,
                   "GGUF file or Hugging Face directory")
      ->required();
  AddDataFlags(*build, build_flags->job.data);
  AddMenuFlags(*build, build_flags->job);
  AddLocalFlags(*build, build_flags->local);
  AddJsonFlag(*build, build_flags->json);
  build->callback([build_flags, &run] {
    run = [build_flags] {
      return ReportError(Build(*build_flags), build_flags->json);
    };
  });

  auto list_flags = std::make_shared<StoreFlags>();
  AddAction(*levels, run, "list",
            "The levels of a job with their costs and errors.\n\nExample:\n  "
            "evopress levels list jobs/1f3a --data ~/.cache/evopress\n",
            List, list_flags)
      ->add_option("JOB", list_flags->job, "Name of the job")
      ->required();
  AddAction(*levels, run, "verify",
            "Hashes every stored file anew and reads every level.\n\nExample:"
            "\n  evopress levels verify --data ~/.cache/evopress\n",
            Verify, std::make_shared<StoreFlags>());
  auto gc_flags = std::make_shared<StoreFlags>();
  AddAction(*levels, run, "gc",
            "Finds stored files that no job needs; --yes removes them.\n\n"
            "Example:\n  evopress levels gc --data ~/.cache/evopress --yes\n",
            Collect, gc_flags)
      ->add_flag("--yes", gc_flags->yes, "Remove them");
}

}  // namespace evopress::client
