// Calls that survive a coordinator that is away for a while: UNAVAILABLE is
// retried with growing, jittered pauses until it heals, `stop` is set, or the
// patience is used up.
#ifndef EVOPRESS_WORKER_RPC_RETRY_H_
#define EVOPRESS_WORKER_RPC_RETRY_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace evopress::worker {

// The absl::Status of a gRPC status: equal codes, same message.
absl::Status FromGrpc(const grpc::Status& status);

// The time of day when the process began, going on as a steady clock does: a
// machine's clock that jumps must not make a worker wait.
absl::Time SteadyNow();

// Sleeps for `duration` or until `stop` is set.
void SleepUnlessStopped(absl::Duration duration, const std::atomic<bool>& stop);

// Runs `call` with a fresh context of the given deadline until it returns
// anything but UNAVAILABLE, DEADLINE_EXCEEDED or a limit that says when to come
// back (proto/retry_info.h). Only for idempotent calls.
absl::Status CallWithRetry(
    const std::function<grpc::Status(grpc::ClientContext*)>& call,
    absl::Duration deadline, absl::Duration patience,
    const std::atomic<bool>& stop);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_RPC_RETRY_H_
