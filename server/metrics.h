// Figures of a coordinator for Prometheus.
#ifndef EVOPRESS_SERVER_METRICS_H_
#define EVOPRESS_SERVER_METRICS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "evopress/v1/jobs.pb.h"
#include "server/distribution.h"
#include "server/lease_table.h"

namespace evopress::server {

// What happened in this life of the coordinator.
struct Counted {
  int64_t completed_tasks = 0;  // accepted results
  int64_t evaluated_tokens = 0;
  int64_t faults = 0;         // reported by workers
  Distribution task_seconds;  // as workers say
  Distribution commit_seconds;
};

// As of one moment.
struct Figures {
  Counted counted;
  LeaseTable::Counts work;  // of all jobs
  std::map<v1::Job::State, int64_t> jobs;
  int64_t long_polls = 0;
};

// Serves http://ADDRESS/metrics until its end.
class Metrics {
 public:
  // `figures` is called by any thread. InvalidArgument or Unavailable if the
  // address is none, or taken.
  static absl::StatusOr<std::unique_ptr<Metrics>> Serve(
      const std::string& address, std::function<Figures()> figures);
  virtual ~Metrics() = default;
  // As bound.
  virtual int port() const = 0;
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_METRICS_H_
