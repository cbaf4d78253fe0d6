// evopressd: the coordinator as a process.
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/coordinator.h"

namespace {

constexpr rlim_t kWantedFiles = 4096;
constexpr absl::Duration kShutdownDeadline = absl::Seconds(5);

// Whether only this machine can reach the address.
bool IsLoopback(const std::string& address) {
  if (absl::StartsWith(address, "unix:")) return true;
  const std::string host = address.substr(0, address.rfind(':'));
  return host == "localhost" || host == "[::1]" ||
         absl::StartsWith(host, "127.");
}

// gRPC may not recover from running out of files, so that is checked first.
void CheckFileLimit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur < kWantedFiles) {
    spdlog::warn(
        "only {} open files are allowed; for many workers raise the "
        "limit (ulimit -n) to {} or more",
        limit.rlim_cur, kWantedFiles);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "The EvoPress coordinator: keeps jobs, hands out work, stores results.");
  app.footer(
      "Example:\n"
      "  evopressd --listen 127.0.0.1:50071 --data /var/lib/evopress\n"
      "  evopress-worker --connect 127.0.0.1:50071");
  std::vector<std::string> listen = {"127.0.0.1:50071"};
  evopress::server::CoordinatorOptions options;
  std::string heartbeat = "5s";
  bool verbose = false;
  bool insecure = false;
  app.add_option("--listen", listen,
                 "host:port or unix:PATH, may be repeated; port 0 picks one")
      ->capture_default_str();
  app.add_option("--data", options.data_dir,
                 "directory of journal and artifacts, made if missing")
      ->required();
  app.add_option("--heartbeat", heartbeat,
                 "interval of the workers' heartbeats; a lease lasts three")
      ->capture_default_str();
  app.add_flag("--insecure", insecure,
               "allow addresses that other machines can reach, unencrypted");
  app.add_flag("--verbose", verbose, "log more");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  if (!absl::ParseDuration(heartbeat, &options.heartbeat_interval) ||
      options.heartbeat_interval < absl::Milliseconds(10) ||
      options.heartbeat_interval > absl::Hours(1)) {
    std::fprintf(stderr,
                 "evopressd: --heartbeat \"%s\" is no duration between 10ms "
                 "and 1h\n",
                 heartbeat.c_str());
    return 2;
  }
  for (const std::string& address : listen) {
    if (IsLoopback(address) || insecure) continue;
    std::fprintf(stderr,
                 "evopressd: %s can be reached from other machines, and TLS is "
                 "not available yet: use a loopback address with a tunnel, or "
                 "give --insecure in a network that you trust\n",
                 address.c_str());
    return 2;
  }
  spdlog::set_default_logger(spdlog::stderr_color_mt("evopressd"));
  spdlog::set_level(verbose ? spdlog::level::debug : spdlog::level::info);
  CheckFileLimit();

  // Blocked before any thread starts, so that only sigwait sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);

  options.listen = listen;
  auto coordinator = evopress::server::Coordinator::Start(options);
  if (!coordinator.ok()) {
    std::fprintf(stderr, "evopressd: %s\n",
                 std::string(coordinator.status().message()).c_str());
    return 1;
  }
  for (const std::string& address : (*coordinator)->addresses()) {
    std::printf("listening on %s\n", address.c_str());
  }
  std::fflush(stdout);
  int signal = 0;
  ::sigwait(&signals, &signal);
  spdlog::info("signal {}: shutting down", signal);
  (*coordinator)->Shutdown(kShutdownDeadline);
  return 0;
}
