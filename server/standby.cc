#include "server/standby.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/health_check_service_interface.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/mutex.h"

namespace evopress::server {
namespace {

constexpr absl::Duration kShutdown = absl::Milliseconds(100);

class Refusal : public grpc::ServerGenericBidiReactor {
 public:
  explicit Refusal(const std::string& leader) {
    Finish({grpc::StatusCode::UNAVAILABLE,
            absl::StrCat("this coordinator is a standby; ",
                         leader.empty() ? std::string("nobody leads just now")
                                        : absl::StrCat(leader, " leads"))});
  }
  void OnDone() override { delete this; }
};

class AllCalls : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext*) override {
    MutexLock lock(mutex_);
    return new Refusal(leader_);
  }

  void SetLeader(const std::string& address) {
    MutexLock lock(mutex_);
    leader_ = address;
  }

 private:
  Mutex mutex_;
  std::string leader_ ABSL_GUARDED_BY(mutex_);
};

class StandbyImpl : public Standby {
 public:
  ~StandbyImpl() override {
    if (served_.server == nullptr) return;
    served_.server->Shutdown(absl::ToChronoTime(absl::Now() + kShutdown));
  }

  absl::Status Start(const Listener& listener) {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    builder.RegisterCallbackGenericService(&calls_);
    auto served = listener.Serve(builder);
    if (!served.ok()) return served.status();
    served_ = *std::move(served);
    served_.server->GetHealthCheckService()->SetServingStatus(false);
    return absl::OkStatus();
  }

  const std::vector<std::string>& addresses() const override {
    return served_.addresses;
  }
  void SetLeader(const std::string& address) override {
    calls_.SetLeader(address);
  }

 private:
  AllCalls calls_;
  Listener::Served served_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Standby>> Standby::Serve(
    const Listener& listener) {
  auto standby = std::make_unique<StandbyImpl>();
  absl::Status status = standby->Start(listener);
  if (!status.ok()) return status;
  return std::unique_ptr<Standby>(std::move(standby));
}

}  // namespace evopress::server
