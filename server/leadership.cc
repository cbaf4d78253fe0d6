#include "server/leadership.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/postgres_schema.h"

namespace evopress::server {
namespace {

// One lock a schema: a database may serve several fleets.
constexpr char kTryLock[] =
    "SELECT pg_try_advisory_lock("
    "hashtextextended('evopress ' || current_schema(), 0))";

// application_name is cut at 63 bytes.
std::string UniqueName() {
  std::random_device random;
  return absl::StrCat("evopressd ", ::getpid(), " ",
                      absl::Hex(random(), absl::kZeroPad8),
                      absl::Hex(random(), absl::kZeroPad8));
}

}  // namespace

Leadership::Leadership(const LeadershipOptions& options)
    : options_(options), name_(UniqueName()) {}

Leadership::~Leadership() {
  {
    MutexLock lock(mutex_);
    closing_ = true;
  }
  wake_.NotifyAll();
  if (beats_.joinable()) beats_.join();
}

std::string Leadership::leader() const {
  MutexLock lock(mutex_);
  return leader_;
}

int64_t Leadership::epoch() const {
  MutexLock lock(mutex_);
  return epoch_;
}

absl::Status Leadership::lost() const {
  MutexLock lock(mutex_);
  return lost_;
}

void Leadership::GiveUp(const absl::Status& why) {
  MutexLock lock(mutex_);
  if (lost_.ok()) lost_ = why;
}

absl::StatusOr<bool> Leadership::Try(absl::Time now) {
  if (connection_ == nullptr || connection_->IsBroken()) {
    auto connection = PostgresConnection::Open(options_.url, name_);
    if (!connection.ok()) return connection.status();
    connection_ = *std::move(connection);
  }
  absl::StatusOr<bool> leads = TryLock(now);
  // The lock goes with the connection.
  if (!leads.ok()) connection_.reset();
  return leads;
}

absl::StatusOr<bool> Leadership::TryLock(absl::Time now) {
  auto got = connection_->Query({kTryLock, {}});
  if (!got.ok()) return got.status();
  if (got->Integer(0, 0) == 0) {
    absl::Status status = WatchLeader(now);
    if (!status.ok()) return status;
    return false;
  }
  // An earlier leader may hold no lock any more and still be writing.
  absl::Status status = EndConnectionsOfLeader();
  if (status.ok()) status = EnsurePostgresSchema(*connection_);
  if (status.ok()) status = Rule();
  if (!status.ok()) return status;
  beats_ = std::thread([this] { BeatLoop(); });
  return true;
}

absl::Status Leadership::EndConnectionsOfLeader() {
  auto ended = connection_->Query(
      {"SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a, "
       "leader l WHERE a.application_name = l.name AND l.name <> ''"
       " AND a.datname = current_database() AND a.pid <> pg_backend_pid()",
       {}});
  // Without the table there was none.
  return absl::IsNotFound(ended.status()) ? absl::OkStatus() : ended.status();
}

absl::Status Leadership::Rule() {
  // The row is free once the last transaction of the epoch before has ended.
  absl::Status status = connection_->Transact(
      {{"SELECT 1 FROM leader FOR UPDATE", {}},
       {"UPDATE leader SET epoch = epoch + 1, name = $1::text,"
        " address = $2::text, beats = 0",
        {PostgresValue::Text(name_), PostgresValue::Text(options_.address)}}});
  if (!status.ok()) return status;
  auto rows = connection_->Query({"SELECT epoch FROM leader", {}});
  if (!rows.ok()) return rows.status();
  if (rows->size() != 1) {
    return absl::DataLossError("PostgreSQL: the table leader has not one row");
  }
  MutexLock lock(mutex_);
  epoch_ = rows->Integer(0, 0);
  leader_ = options_.address;
  return absl::OkStatus();
}

absl::Status Leadership::WatchLeader(absl::Time now) {
  auto rows = connection_->Query(
      {"SELECT address, epoch::text || ' ' || beats::text FROM leader", {}});
  // The first leader may be making the tables just now.
  if (absl::IsNotFound(rows.status())) return absl::OkStatus();
  if (!rows.ok()) return rows.status();
  if (rows->size() != 1) return absl::OkStatus();
  {
    MutexLock lock(mutex_);
    leader_ = rows->Bytes(0, 0);
  }
  if (rows->Bytes(0, 1) != seen_) {
    seen_ = rows->Bytes(0, 1);
    seen_at_ = now;
    return absl::OkStatus();
  }
  if (now - seen_at_ < options_.patience) return absl::OkStatus();
  spdlog::warn("the leader {} has been silent for {}: ending its connections",
               rows->Bytes(0, 0), absl::FormatDuration(now - seen_at_));
  seen_at_ = now;
  return EndConnectionsOfLeader();
}

void Leadership::BeatLoop() {
  for (;;) {
    {
      MutexLock lock(mutex_);
      wake_.WaitFor(mutex_, options_.beat);
      if (closing_ || !lost_.ok()) return;
    }
    auto rows = connection_->Query(
        {"UPDATE leader SET beats = beats + 1 WHERE epoch = $1::bigint"
         " RETURNING 1",
         {PostgresValue::Integer(epoch())}});
    if (!rows.ok()) {
      GiveUp(rows.status());
    } else if (rows->size() != 1) {
      GiveUp(absl::FailedPreconditionError("another coordinator leads"));
    }
  }
}

}  // namespace evopress::server
