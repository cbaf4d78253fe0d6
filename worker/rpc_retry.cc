#include "worker/rpc_retry.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>

#include "absl/time/clock.h"
#include "proto/retry_info.h"
#include "worker/retry_pause.h"

namespace evopress::worker {

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

absl::Time SteadyNow() {
  static const absl::Time begin = absl::Now();
  static const auto steady_begin = std::chrono::steady_clock::now();
  return begin +
         absl::FromChrono(std::chrono::steady_clock::now() - steady_begin);
}

void SleepUnlessStopped(absl::Duration duration,
                        const std::atomic<bool>& stop) {
  const absl::Time end = SteadyNow() + duration;
  while (!stop && SteadyNow() < end) {
    absl::SleepFor(std::min(absl::Milliseconds(50), end - SteadyNow()));
  }
}

absl::Status CallWithRetry(
    const std::function<grpc::Status(grpc::ClientContext*)>& call,
    absl::Duration deadline, absl::Duration patience,
    const std::atomic<bool>& stop) {
  const absl::Time give_up = SteadyNow() + patience;
  for (int attempt = 0;; ++attempt) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
    const grpc::Status status = call(&context);
    const bool away =
        status.error_code() == grpc::StatusCode::UNAVAILABLE ||
        status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
    const auto delay = proto::RetryDelay(status);
    if ((!away && !delay.has_value()) || stop || SteadyNow() > give_up) {
      return FromGrpc(status);
    }
    if (delay.has_value()) {
      SleepUnlessStopped(std::min(*delay, patience), stop);
      continue;
    }
    const size_t hash =
        std::hash<std::thread::id>{}(std::this_thread::get_id()) +
        static_cast<size_t>(absl::ToUnixNanos(absl::Now()));
    SleepUnlessStopped(RetryPause(attempt, (hash % 1000) / 1000.0), stop);
  }
}

}  // namespace evopress::worker
