// Assignments as text, one line per layer: "<layer>: <value>".
//
// The value is the nominal bits, as EvoPress writes its configurations
// ("model.layers.0.self_attn.q_proj: 3"), or the full level name
// ("…q_proj: gptq:b3:g64:asym"). Modules have lines as layers have, "keep" or
// "drop"; without one they are kept. Layers of dropped modules have none. A
// text of dropped modules alone may also have EvoPress's own form, see
// drop_text.h.
#ifndef EVOPRESS_SEARCH_ASSIGNMENT_TEXT_H_
#define EVOPRESS_SEARCH_ASSIGNMENT_TEXT_H_

#include <string>

#include "absl/status/statusor.h"
#include "search/space.h"

namespace evopress::search {

inline constexpr size_t kMaxAssignmentText = size_t{16} << 20;

// Full level names, in unit and layer order. REQUIRES: valid arguments.
std::string FormatLevels(const SearchSpace& space,
                         const Assignment& assignment);

// Nominal bits (16 for keep, 0 for drop). InvalidArgument, naming the level,
// if its bits are unknown or another level of the unit has the same.
absl::StatusOr<std::string> FormatNominalBits(const SearchSpace& space,
                                              const Assignment& assignment);

// Reads either form, mixed as one likes; empty lines and lines that start with
// '#' are skipped; a line may name a layer or a unit. InvalidArgument, with the
// line's number, for unknown layers, levels that the unit lacks, ambiguous
// bits, tied layers that differ, layers named twice, and units left out that
// have a choice.
absl::StatusOr<Assignment> ParseAssignment(const SearchSpace& space,
                                           const std::string& text);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_ASSIGNMENT_TEXT_H_
