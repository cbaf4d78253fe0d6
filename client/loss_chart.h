// Pictures of losses: how a search went, and how results compare.
#ifndef EVOPRESS_CLIENT_LOSS_CHART_H_
#define EVOPRESS_CLIENT_LOSS_CHART_H_

#include <string>
#include <vector>

#include "client/result_table.h"
#include "client/search_story.h"

namespace evopress::client {

// Every candidate of every round over the tokens asked for so far (each round
// on samples of its own), the incumbent as a line where it is known, and the
// results' held-out KL at the right edge if that is what the search minimizes.
// A self-contained SVG element; empty without rounds.
std::string DrawSearch(const SearchStory& story, const ResultTable& results);

// Held-out KL with its standard error, a line for each result and text. Empty
// if nothing was measured.
std::string DrawResults(const ResultTable& results);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_LOSS_CHART_H_
