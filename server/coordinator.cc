#include "server/coordinator.h"

#include <fcntl.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <mutex>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "server/access.h"
#include "server/artifact_store.h"
#include "server/artifacts_service.h"
#include "server/jobs_service.h"
#include "server/metrics.h"
#include "server/scheduler.h"
#include "server/sqlite_journal.h"
#include "server/workers_service.h"

namespace evopress::server {
namespace {

constexpr int kMaxThreads = 1024;  // long polls, watches, and all else
constexpr int kMaxMessageBytes = 64 << 20;
constexpr int kKeepaliveMs = 60'000;
constexpr int kMinPingIntervalMs = 4'000;  // worker/coordinator_link.cc
// What does not speak, or has nothing to ask, does not stay.
constexpr int kHandshakeMs = 20'000;
constexpr int kMaxIdleMs = 300'000;

// Holds the data directory for this process.
class DirectoryLock {
 public:
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Take(
      const std::string& directory) {
    const std::string path = absl::StrCat(directory, "/lock");
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
    }
    auto lock = std::unique_ptr<DirectoryLock>(new DirectoryLock(fd));
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      char holder[32] = {};
      const ssize_t n = ::pread(fd, holder, sizeof(holder) - 1, 0);
      return absl::FailedPreconditionError(
          absl::StrCat("data directory ", directory, " is in use by process ",
                       n > 0 ? absl::StripSuffix(holder, "\n") : "unknown",
                       "; stop it or choose another directory"));
    }
    const std::string pid = absl::StrCat(::getpid(), "\n");
    if (::ftruncate(fd, 0) != 0 ||
        ::pwrite(fd, pid.data(), pid.size(), 0) < 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
    }
    return lock;
  }
  ~DirectoryLock() { ::close(fd_); }

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  const int fd_;
};

class CoordinatorImpl : public Coordinator {
 public:
  explicit CoordinatorImpl(const CoordinatorOptions& options)
      : options_(options) {}
  ~CoordinatorImpl() override { Shutdown(absl::Milliseconds(200)); }

  absl::Status Open();

  std::vector<std::string> addresses() const override { return addresses_; }
  std::shared_ptr<grpc::Channel> InProcessChannel() override {
    return server_->InProcessChannel(grpc::ChannelArguments());
  }
  absl::StatusOr<std::string> RegisterLocalFile(
      const std::string& path) override;
  void Shutdown(absl::Duration deadline) override;
  int metrics_port() const override {
    return metrics_ == nullptr ? 0 : metrics_->port();
  }

 private:
  absl::Status Serve();

  const CoordinatorOptions options_;
  std::unique_ptr<DirectoryLock> lock_;
  std::unique_ptr<ArtifactStore> artifacts_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Access> access_;
  std::unique_ptr<JobsService> jobs_;
  std::unique_ptr<WorkersService> workers_;
  std::unique_ptr<ArtifactsService> artifacts_service_;
  std::unique_ptr<grpc::Server> server_;
  std::vector<std::string> addresses_;
  std::once_flag shutdown_once_;
};

absl::Status CoordinatorImpl::Open() {
  if (options_.data_dir.empty()) {
    return absl::InvalidArgumentError("no data directory given");
  }
  std::error_code error;
  std::filesystem::create_directories(options_.data_dir, error);
  if (error) {
    return absl::ErrnoToStatus(
        error.value(),
        absl::StrCat("cannot make data directory ", options_.data_dir));
  }
  auto lock = DirectoryLock::Take(options_.data_dir);
  if (!lock.ok()) return lock.status();
  lock_ = *std::move(lock);
  auto artifacts =
      ArtifactStore::Open(options_.artifacts_dir.empty()
                              ? absl::StrCat(options_.data_dir, "/artifacts")
                              : options_.artifacts_dir,
                          options_.max_artifact_bytes);
  if (!artifacts.ok()) return artifacts.status();
  artifacts_ = *std::move(artifacts);
  auto journal = options_.open_journal
                     ? options_.open_journal()
                     : OpenSqliteJournal(
                           absl::StrCat(options_.data_dir, "/journal.sqlite"));
  if (!journal.ok()) return journal.status();

  SchedulerOptions options;
  options.leases.heartbeat_interval = options_.heartbeat_interval;
  options.leases.fleet_patience = options_.fleet_patience;
  // Tokens of different lives of the coordinator must differ.
  options.leases.epoch = absl::StrCat(absl::ToUnixNanos(absl::Now()));
  auto scheduler = Scheduler::Start(*std::move(journal), *artifacts_, options);
  if (!scheduler.ok()) return scheduler.status();
  scheduler_ = *std::move(scheduler);
  if (!options_.metrics.empty()) {
    auto metrics = Metrics::Serve(
        options_.metrics, [this] { return scheduler_->CountFigures(); });
    if (!metrics.ok()) return metrics.status();
    metrics_ = *std::move(metrics);
  }
  return Serve();
}

absl::Status CoordinatorImpl::Serve() {
  auto listener = Listener::Open(
      options_.tls, absl::StrCat(options_.data_dir, "/tls"), options_.listen);
  if (!listener.ok()) return listener.status();
  listener_ = *std::move(listener);
  AccessOptions access_options;
  access_options.token_file =
      options_.token_file.empty()
          ? absl::StrCat(options_.data_dir, "/tokens.json")
          : options_.token_file;
  access_options.mutual_tls = !options_.tls.client_ca.empty();
  auto access = Access::Open(access_options);
  if (!access.ok()) return access.status();
  access_ = *std::move(access);
  jobs_ =
      std::make_unique<JobsService>(*scheduler_, *access_, options_.data_dir);
  workers_ = std::make_unique<WorkersService>(*scheduler_, *access_);
  artifacts_service_ =
      std::make_unique<ArtifactsService>(*artifacts_, *access_);
  grpc::EnableDefaultHealthCheckService(true);
  static std::once_flag reflection;
  std::call_once(reflection, [] {
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
  grpc::ResourceQuota quota("evopress");
  quota.SetMaxThreads(kMaxThreads);
  grpc::ServerBuilder builder;
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
      kMinPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             kHandshakeMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kMaxIdleMs);
  builder.RegisterService(jobs_.get());
  builder.RegisterService(workers_.get());
  builder.RegisterService(artifacts_service_.get());
  auto served = listener_->Serve(builder);
  if (!served.ok()) return served.status();
  server_ = std::move(served->server);
  addresses_ = std::move(served->addresses);
  return absl::OkStatus();
}

absl::StatusOr<std::string> CoordinatorImpl::RegisterLocalFile(
    const std::string& path) {
  auto file = ArtifactStore::HashLocalFile(path);
  if (!file.ok()) return file.status();
  bool allowed = false;
  for (const std::string& root : options_.local_roots) {
    std::error_code error;
    const std::string real = std::filesystem::canonical(root, error).string();
    if (error) continue;
    allowed = allowed || file->path == real ||
              absl::StartsWith(file->path,
                               absl::EndsWith(real, "/") ? real : real + "/");
  }
  if (!allowed) {
    return absl::PermissionDeniedError(
        absl::StrCat(file->path, " lies below none of the local roots"));
  }
  absl::Status status = scheduler_->RegisterLocalFile(*file);
  if (!status.ok()) return status;
  return file->sha256;
}

void CoordinatorImpl::Shutdown(absl::Duration deadline) {
  std::call_once(shutdown_once_, [&] {
    if (server_ != nullptr && server_->GetHealthCheckService() != nullptr) {
      server_->GetHealthCheckService()->Shutdown();
    }
    if (scheduler_ != nullptr) scheduler_->Stop();
    if (server_ != nullptr) {
      server_->Shutdown(absl::ToChronoTime(absl::Now() + deadline));
    }
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Start(
    const CoordinatorOptions& options) {
  auto coordinator = std::make_unique<CoordinatorImpl>(options);
  absl::Status status = coordinator->Open();
  if (!status.ok()) return status;
  return std::unique_ptr<Coordinator>(std::move(coordinator));
}

}  // namespace evopress::server
