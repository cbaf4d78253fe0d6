// evopressd: the coordinator as a process.
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/command.h"
#include "server/postgres_connection.h"
#include "server/tenure.h"

namespace {

constexpr rlim_t kWantedFiles = 16384;

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
      "  evopress-worker --server 127.0.0.1:50071\n"
      "Addresses that other machines can reach are served over TLS and need\n"
      "tokens or client certificates: docs/security.md.");
  std::vector<std::string> listen = {"127.0.0.1:50071"};
  evopress::server::TenureOptions tenure;
  evopress::server::CoordinatorOptions& options = tenure.coordinator;
  std::string heartbeat = "5s";
  bool verbose = false;
  evopress::server::RunCommand run;
  app.add_option("--listen", listen,
                 "host:port or unix:PATH, may be repeated; port 0 picks one")
      ->capture_default_str();
  app.add_option("--data", options.data_dir,
                 "directory of journal and artifacts, made if missing; needed");
  app.add_option("--journal", tenure.postgres,
                 "postgresql://user@host/database instead of a file in DATA: "
                 "several coordinators may share it, and one leads")
      ->envname("EVOPRESS_JOURNAL");
  app.add_option("--artifacts", options.artifacts_dir,
                 "directory of artifacts instead of DATA/artifacts; "
                 "coordinators that share a journal share it, too");
  app.add_option("--advertise", tenure.advertise,
                 "address at which others reach this coordinator, told to "
                 "clients of a standby");
  app.add_option("--heartbeat", heartbeat,
                 "interval of the workers' heartbeats; a lease lasts three")
      ->capture_default_str();
  app.add_option("--tls-cert", options.tls.certificate,
                 "certificate chain (PEM) instead of one made in DATA/tls");
  app.add_option("--tls-key", options.tls.key, "its private key (PEM)");
  app.add_option("--tls-client-ca", options.tls.client_ca,
                 "authority (PEM) whose certificates clients must show: mutual "
                 "TLS");
  app.add_option("--tls-name", options.tls.names,
                 "further host name or address for the certificate made; may "
                 "be repeated");
  app.add_option("--token-file", options.token_file,
                 "tokens, if not in DATA/tokens.json (evopressd token)");
  app.add_option("--max-artifact", options.max_artifact_bytes,
                 "largest file that may be uploaded, e.g. 64GiB")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--metrics", options.metrics,
                 "host:port to serve figures for Prometheus on, at /metrics, "
                 "in the clear and to anybody who can reach it");
  app.add_flag("--insecure", options.tls.insecure,
               "serve addresses that other machines can reach without TLS: "
               "for networks that you trust");
  app.add_flag("--verbose", verbose, "log more");
  evopress::server::AddTokenCommand(app, run);
  evopress::server::AddCertificateCommand(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  if (run) return run();
  if (options.data_dir.empty()) {
    std::fprintf(stderr,
                 "evopressd: --data is needed: a directory to keep "
                 "journal and artifacts in\n");
    return 2;
  }
  if (!tenure.postgres.empty() &&
      !evopress::server::IsPostgresUrl(tenure.postgres)) {
    std::fprintf(stderr,
                 "evopressd: --journal is a URL as postgresql://user@host:5432/"
                 "evopress\n");
    return 2;
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
  const auto wait = [&signals](absl::Duration duration) {
    const timespec timeout = absl::ToTimespec(duration);
    const int signal = ::sigtimedwait(&signals, nullptr, &timeout);
    if (signal < 0) return false;
    spdlog::info("signal {}: shutting down", signal);
    return true;
  };
  const auto announce = [](const std::vector<std::string>& addresses) {
    for (const std::string& address : addresses) {
      std::printf("listening on %s\n", address.c_str());
    }
    std::fflush(stdout);
  };
  absl::Status status = evopress::server::ServeTenure(tenure, wait, announce);
  if (!status.ok()) {
    std::fprintf(stderr, "evopressd: %s\n",
                 std::string(status.message()).c_str());
    return 1;
  }
  return 0;
}
