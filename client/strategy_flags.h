// Which flags of a search belong to which strategies: the one place that says
// it, for the help, for the check and for those who add a strategy.
#ifndef EVOPRESS_CLIENT_STRATEGY_FLAGS_H_
#define EVOPRESS_CLIENT_STRATEGY_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace evopress::client {

// Flags that some strategies use and others do not, e.g. "--survivors".
std::vector<std::string> FlagsOfStrategies();

// The strategies that use `flag`, e.g. "evopress, subnet-ga"; empty if it is
// none of FlagsOfStrategies().
std::string UsersOf(const std::string& flag);

// InvalidArgument for the first of `given` that `strategy` has no use for: it
// names the flag, the strategy and those that use it.
absl::Status CheckFlagsOfStrategy(const std::string& strategy,
                                  const std::vector<std::string>& given);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_STRATEGY_FLAGS_H_
