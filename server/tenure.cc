#include "server/tenure.h"

#include <spdlog/spdlog.h>

#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/host_name.h"
#include "server/leadership.h"
#include "server/listener.h"
#include "server/postgres_journal.h"
#include "server/standby.h"

namespace evopress::server {
namespace {

constexpr absl::Duration kShutdownDeadline = absl::Seconds(5);
constexpr absl::Duration kTryEvery = absl::Milliseconds(500);
constexpr absl::Duration kLookEvery = absl::Milliseconds(200);
constexpr absl::Duration kIdle = absl::Seconds(1);

// What others may call an address that is listened on.
std::string Reachable(const std::string& address) {
  const size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon);
  if (absl::StartsWith(address, "unix:") ||
      (host != "0.0.0.0" && host != "[::]")) {
    return address;
  }
  return absl::StrCat(proto::HostName(), address.substr(colon));
}

class Tenure {
 public:
  using Wait = std::function<bool(absl::Duration)>;
  using Announce = std::function<void(const std::vector<std::string>&)>;

  Tenure(const TenureOptions& options, const Wait& wait,
         const Announce& announce)
      : options_(options), wait_(wait), announce_(announce) {}

  absl::Status ServeAlone() {
    auto coordinator = Coordinator::Start(options_.coordinator);
    if (!coordinator.ok()) return coordinator.status();
    announce_((*coordinator)->addresses());
    while (!wait_(kIdle)) {
    }
    (*coordinator)->Shutdown(kShutdownDeadline);
    return absl::OkStatus();
  }

  absl::Status ServeInTurn() {
    while (!stop_) {
      auto standby = StandBy();
      if (!standby.ok()) return standby.status();
      Leadership leadership({options_.postgres, options_.advertise});
      absl::Status status = Campaign(leadership, *standby->server);
      standby->server.reset();  // the addresses are free
      standby->listener.reset();
      if (status.ok() && !stop_) status = Lead(leadership);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  struct Waiting {
    std::unique_ptr<Listener> listener;
    std::unique_ptr<Standby> server;
  };
  absl::StatusOr<Waiting> StandBy();
  absl::Status Campaign(Leadership& leadership, Standby& standby);
  absl::Status Lead(Leadership& leadership);

  TenureOptions options_;
  const Wait& wait_;
  const Announce& announce_;
  bool announced_ = false;
  bool stop_ = false;
};

absl::StatusOr<Tenure::Waiting> Tenure::StandBy() {
  CoordinatorOptions& coordinator = options_.coordinator;
  const std::string tls = absl::StrCat(coordinator.data_dir, "/tls");
  auto listener = Listener::Open(coordinator.tls, tls, coordinator.listen);
  if (!listener.ok()) return listener.status();
  auto server = Standby::Serve(**listener);
  if (!server.ok()) return server.status();
  // A port that was picked stays.
  coordinator.listen = (*server)->addresses();
  if (!announced_) announce_(coordinator.listen);
  announced_ = true;
  if (options_.advertise.empty() && !coordinator.listen.empty()) {
    options_.advertise = Reachable(coordinator.listen[0]);
  }
  return Waiting{*std::move(listener), *std::move(server)};
}

absl::Status Tenure::Campaign(Leadership& leadership, Standby& standby) {
  std::string said;
  while (!stop_) {
    const absl::StatusOr<bool> leads = leadership.Try(absl::Now());
    if (leads.ok() && *leads) return absl::OkStatus();
    if (!leads.ok() && !absl::IsUnavailable(leads.status())) {
      return leads.status();
    }
    standby.SetLeader(leadership.leader());
    const std::string now =
        leads.ok() ? absl::StrCat("standby: ", leadership.leader(), " leads")
                   : absl::StrCat("standby: the database cannot be reached: ",
                                  leads.status().message());
    if (now != said) spdlog::info("{}", now);
    said = now;
    stop_ = wait_(kTryEvery);
  }
  return absl::OkStatus();
}

absl::Status Tenure::Lead(Leadership& leadership) {
  spdlog::info("leads with epoch {}", leadership.epoch());
  CoordinatorOptions options = options_.coordinator;
  options.open_journal = [&] {
    return OpenPostgresJournal(options_.postgres, leadership);
  };
  auto coordinator = Coordinator::Start(options);
  if (!coordinator.ok()) {
    // Deposed on the way: then the next turn will show.
    return leadership.lost().ok() ? coordinator.status() : absl::OkStatus();
  }
  while (!stop_ && leadership.lost().ok()) stop_ = wait_(kLookEvery);
  if (!stop_) {
    spdlog::warn("leads no longer: {}",
                 std::string(leadership.lost().message()));
  }
  (*coordinator)->Shutdown(stop_ ? kShutdownDeadline : absl::ZeroDuration());
  return absl::OkStatus();
}

}  // namespace

absl::Status ServeTenure(
    const TenureOptions& options,
    const std::function<bool(absl::Duration)>& wait,
    const std::function<void(const std::vector<std::string>&)>& announce) {
  Tenure tenure(options, wait, announce);
  return options.postgres.empty() ? tenure.ServeAlone() : tenure.ServeInTurn();
}

}  // namespace evopress::server
