// Which units may trade budget with each other (exchange groups), and which
// layers must share one choice (ties).
#ifndef EVOPRESS_SEARCH_GROUPING_H_
#define EVOPRESS_SEARCH_GROUPING_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "search/space.h"

namespace evopress::search {

enum class GroupRule {
  kSize,  // units of equally many weights (EvoPress's default)
  kName,  // units of one role: "mlp.down_proj" of all blocks
  kNone,  // all units; a switch still needs exactly equal cost
};

// "size", "name" or "none".
absl::StatusOr<GroupRule> ParseGroupRule(const std::string& text);
std::string Format(GroupRule rule);

// What follows the last component that is a number:
// "model.layers.0.mlp.down_proj" -> "mlp.down_proj", "lm_head" -> "lm_head".
std::string RoleName(const std::string& unit_name);

// Sets Unit::group of every unit.
void AssignGroups(GroupRule rule, std::vector<Unit>& units);

// True if '*' (any text) and '#' (a number) of `pattern` can be filled in to
// give `name`. InvalidArgument for more wildcards than any use has.
absl::StatusOr<bool> MatchesPattern(const std::string& pattern,
                                    const std::string& name);

// Layers that share one choice. In a pattern '*' stands for any text and '#'
// for a number; units are merged only with those of equal numbers, so that
// {"layers.#.attn.q", "layers.#.attn.k"} ties q and k block by block.
struct Tie {
  std::vector<std::string> patterns;
};

// Merges tied units at the place of their first member. The merged unit is
// called "<first member>+<number of others>", holds all members' layers and
// weights, and offers the levels that all members have, at the sum of their
// costs. Call before AssignGroups(). InvalidArgument if a pattern matches
// nothing, a unit is tied twice, members share no level, or sums exceed 64
// bits; `units` is then unchanged.
absl::Status ApplyTies(const std::vector<Tie>& ties, std::vector<Unit>& units);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_GROUPING_H_
