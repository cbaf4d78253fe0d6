// worker/request_check.h
// Whether an engine can do what it is asked, before it begins.
#ifndef EVOPRESS_WORKER_REQUEST_CHECK_H_
#define EVOPRESS_WORKER_REQUEST_CHECK_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "worker/architecture.h"
#include "worker/evaluator.h"

namespace evopress::worker {

// Limits of a request; one beyond them is refused with InvalidArgument.
inline constexpr int64_t kMinSampleTokens = 2;
inline constexpr int64_t kMaxSampleTokens = 1 << 16;
inline constexpr int64_t kMaxSamples = 1 << 16;
inline constexpr int64_t kMaxAssignments = 1 << 12;

// InvalidArgument, naming sample and token, layer or module, for what is out of
// range or not in the model.
absl::Status CheckSamples(const Architecture& architecture,
                          const std::vector<std::vector<int32_t>>& samples);
absl::Status CheckLayers(const Architecture& architecture,
                         const std::vector<std::string>& layers);
absl::Status CheckModules(const Architecture& architecture,
                          const std::set<std::string>& modules);
absl::Status CheckOptions(const EvaluatorOptions& options);
absl::Status CheckRequest(const Architecture& architecture,
                          const EvaluateRequest& request);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_REQUEST_CHECK_H_
