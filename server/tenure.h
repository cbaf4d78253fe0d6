// A coordinator's process: serves until it is told to stop. On PostgreSQL it
// takes turns with others: standby, leader, standby again.
#ifndef EVOPRESS_SERVER_TENURE_H_
#define EVOPRESS_SERVER_TENURE_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/coordinator.h"

namespace evopress::server {

struct TenureOptions {
  CoordinatorOptions coordinator;
  std::string postgres;   // URL; empty: SQLite in the data directory
  std::string advertise;  // address told to clients of a standby; empty: the
                          // first that is listened on
};

// `wait` sleeps for at most the given time; true once the process is to stop.
// `announce` is told the addresses once they are bound, the ports picked.
absl::Status ServeTenure(
    const TenureOptions& options,
    const std::function<bool(absl::Duration)>& wait,
    const std::function<void(const std::vector<std::string>&)>& announce);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_TENURE_H_
