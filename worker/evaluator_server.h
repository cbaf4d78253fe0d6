// worker/evaluator_server.h
// The child's side of the evaluator protocol.
#ifndef EVOPRESS_WORKER_EVALUATOR_SERVER_H_
#define EVOPRESS_WORKER_EVALUATOR_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/evaluator.h"

namespace evopress::worker {

using EvaluatorFactory =
    std::function<absl::StatusOr<std::unique_ptr<Evaluator>>(
        const std::string& path, const EvaluatorOptions& options)>;

// Answers requests on the socket `fd`, which it owns, until the parent closes
// it (OK) or breaks the protocol. The process exits at once, even amid a
// computation, when the parent is gone.
absl::Status ServeEvaluator(int fd, const EvaluatorFactory& open);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_EVALUATOR_SERVER_H_
