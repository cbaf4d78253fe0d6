// Which of several coordinators on one PostgreSQL leads.
//
// The leader holds an advisory lock, has raised the epoch in the table
// `leader`, and counts `beats` up every second. Who waits for the lock and sees
// the beats stand still for `patience` ends the leader's connections and takes
// over. A leader that was only asleep finds its epoch stale: every write of
// PostgresJournal checks it within its transaction.
#ifndef EVOPRESS_SERVER_LEADERSHIP_H_
#define EVOPRESS_SERVER_LEADERSHIP_H_

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/mutex.h"
#include "server/postgres_connection.h"

namespace evopress::server {

struct LeadershipOptions {
  std::string url;  // of the database; its schema is the search path's first
  std::string address;  // told to those who wait
  absl::Duration beat = absl::Seconds(1);
  absl::Duration patience = absl::Seconds(4);  // without a beat
};

// Thread-safe but for Try(), which one thread calls. One object leads at most
// once.
class Leadership {
 public:
  explicit Leadership(const LeadershipOptions& options);
  // Gives the leadership up.
  ~Leadership();

  // One try, to be repeated; true once this process leads. The schema is then
  // of this version. Unavailable while the database cannot be reached; other
  // errors do not heal: a newer schema, wrong credentials.
  absl::StatusOr<bool> Try(absl::Time now);

  // Of the leader as of the last try; "" if unknown.
  std::string leader() const;
  int64_t epoch() const;
  // The name of this process's connections.
  const std::string& name() const { return name_; }

  // Why this process leads no longer; OK while it does.
  absl::Status lost() const;
  void GiveUp(const absl::Status& why);

 private:
  absl::StatusOr<bool> TryLock(absl::Time now);
  absl::Status EndConnectionsOfLeader();
  absl::Status Rule();
  absl::Status WatchLeader(absl::Time now);
  void BeatLoop();

  const LeadershipOptions options_;
  const std::string name_;
  // Of Try(), then of the beats.
  std::unique_ptr<PostgresConnection> connection_;

  // The last beat seen of a leader.
  std::string seen_;
  absl::Time seen_at_ = absl::InfinitePast();

  mutable Mutex mutex_;
  CondVar wake_;
  std::string leader_ ABSL_GUARDED_BY(mutex_);
  int64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status lost_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread beats_;
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_LEADERSHIP_H_
