// The `uniform` strategy: one level for all units. Measures nothing.
#ifndef EVOPRESS_SEARCH_UNIFORM_H_
#define EVOPRESS_SEARCH_UNIFORM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "search/space.h"
#include "search/stepwise_strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

// All units at one level. A unit without it takes the one level that differs by
// method, order or scale search alone, if there is one; units with a single
// level take that one, modules without the level are kept, and if the level is
// "drop", all modules are dropped.
struct UniformAssignment {
  std::string level;
  Assignment assignment;
  int64_t cost = 0;  // of the steering kind
};

// In rising order of (cost, level). Empty if no level is legal for all units.
std::vector<UniformAssignment> UniformAssignments(const SearchSpace& space);

// The dearest one within all budgets that drops nothing, as modules are not
// alike; FailedPrecondition says what there is.
absl::StatusOr<UniformAssignment> DearestUniform(const SearchSpace& space);

absl::Status CheckOptions(const StrategyInput& input,
                          const UniformOptions& options);
int64_t PlannedSamples(const StrategyInput& input,
                       const UniformOptions& options);

// Ends at Start() with fitness +infinity: not measured.
std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const UniformOptions& options,
                                      StrategyIdentity identity);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_UNIFORM_H_
