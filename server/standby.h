// A coordinator that waits: it answers health checks with NOT_SERVING and every
// call with UNAVAILABLE and the leader's address.
#ifndef EVOPRESS_SERVER_STANDBY_H_
#define EVOPRESS_SERVER_STANDBY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/listener.h"

namespace evopress::server {

// Thread-safe.
class Standby {
 public:
  static absl::StatusOr<std::unique_ptr<Standby>> Serve(
      const Listener& listener);
  // Frees the addresses.
  virtual ~Standby() = default;

  // As bound.
  virtual const std::vector<std::string>& addresses() const = 0;

  // The leader's address, "" if unknown, for those who call.
  virtual void SetLeader(const std::string& address) = 0;
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_STANDBY_H_
