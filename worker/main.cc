// evopress-worker: leases work from a coordinator and runs it here.
#include <grpcpp/grpcpp.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "proto/host_name.h"
#include "worker/channel_flags.h"
#include "worker/coordinator_channel.h"
#include "worker/worker.h"

namespace {

std::atomic<bool> g_stop = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void OnSignal(int) { g_stop = true; }

std::string DefaultCache() {
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "/tmp") +
         "/.cache/evopress/worker";
}

std::string BesideThisBinary(const char* name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? name : (self.parent_path() / name).string();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Leases build and evaluation tasks from a coordinator (evopressd) and\n"
      "runs them on this machine. Stop it with Ctrl-C or SIGTERM at any time:\n"
      "what it holds goes back to the coordinator and nothing is lost.\n\n"
      "Example:\n  evopress-worker --server 127.0.0.1:50071 --cache "
      "/var/tmp/w1"};
  evopress::worker::CoordinatorAddress server;
  server.address = "127.0.0.1:50071";
  evopress::worker::WorkerOptions options;
  options.cache_dir = DefaultCache();
  options.host = evopress::proto::HostName();
  options.worker_id = options.host;
  options.evaluator_binary = BesideThisBinary("evopress-evaluator-cpu");
  options.version = EVOPRESS_VERSION;
  bool verbose = false;
  evopress::worker::AddChannelFlags(app, server);
  app.add_option("--id", options.worker_id,
                 "Name of this worker, unique in the fleet and the same after "
                 "a restart")
      ->capture_default_str();
  app.add_option("--cache", options.cache_dir,
                 "Folder for models and levels fetched from the coordinator")
      ->capture_default_str();
  app.add_option("--threads", options.evaluator.threads,
                 "Threads to compute with; 0: one per available core")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  app.add_option("--memory", options.evaluator.memory_bytes,
                 "Bound of the cache of prepared weights, e.g. 4GiB")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option("--evaluator", options.evaluator_binary,
                 "Engine to run as a child process")
      ->capture_default_str();
  app.add_flag("--verbose", verbose, "Log every task");
  app.set_version_flag("--version", EVOPRESS_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }

  spdlog::set_default_logger(spdlog::stderr_color_mt("evopress-worker"));
  spdlog::set_level(verbose ? spdlog::level::debug : spdlog::level::info);
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  arguments.SetMaxReceiveMessageSize(64 << 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  auto link = evopress::worker::CoordinatorLink::Open(server, arguments);
  absl::Status status = link.status();
  if (status.ok()) status = evopress::worker::CheckCoordinatorTls(server);
  if (status.ok()) {
    spdlog::info("worker {} takes tasks from {}", options.worker_id,
                 server.address);
    status = evopress::worker::RunWorker(*link, options, g_stop);
  }
  if (!status.ok()) {
    spdlog::error("{}", status.ToString());
    return 1;
  }
  spdlog::info("stopped");
  return 0;
}
