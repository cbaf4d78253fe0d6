// Dropped modules as EvoPress writes them: one line a block, "none", "attn",
// "mlp" or "attn+mlp", in the order of the blocks.
#ifndef EVOPRESS_SEARCH_DROP_TEXT_H_
#define EVOPRESS_SEARCH_DROP_TEXT_H_

#include <string>

#include "absl/status/statusor.h"
#include "search/space.h"

namespace evopress::search {

// True if the first line that is not empty is one of the four.
bool IsDropText(const std::string& text);

// True if nothing but modules has a choice: the text then says everything.
bool OnlyDrops(const SearchSpace& space);

// What is dropped. Modules are known by their layers:
// "<text>.<block>.self_attn" is an attention, any other last word an MLP.
// InvalidArgument if a module is not called so. REQUIRES: valid arguments.
absl::StatusOr<std::string> FormatDrops(const SearchSpace& space,
                                        const Assignment& assignment);

// InvalidArgument, naming the line, unless there is a line for every block, it
// is one of the four, drops only modules of the space, and nothing else has a
// choice.
absl::StatusOr<Assignment> ParseDrops(const SearchSpace& space,
                                      const std::string& text);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_DROP_TEXT_H_
