// Costs that somebody measured: one more cost kind of a search space, read
// from a file. What a level costs in time or energy is known to those who run
// the model, not to us.
//
// The file begins with a header that names the kind and its unit; then comes a
// line for each layer and level. Fields are separated by blanks or commas, so
// that CSV is the same format; lines that begin with "#" are comments:
//
//   kind=decode unit=ns constant=1200
//   model.layers.*.mlp.down_proj   gptq:b3:g64:asym   41200
//   model.layers.0.mlp.down_proj   gptq:b3:g64:asym   43900
//
// or, as JSON,
//
//   {"kind": "decode", "unit": "ns", "constant": 1200, "costs": [
//     {"layer": "model.layers.*.mlp.down_proj", "level": "gptq:b3:g64:asym",
//      "cost": 41200}, …]}
//
// Costs are whole numbers, 0 or more. In a pattern '*' is any text and '#' a
// number; a line that names a layer in full goes before patterns. Levels that
// the menu lacks are passed over, so that one table serves many menus. The
// constant (0 if left out) is what no choice changes.
#ifndef EVOPRESS_CLIENT_COST_TABLE_H_
#define EVOPRESS_CLIENT_COST_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "search/space.h"

namespace evopress::client {

struct CostTable {
  struct Entry {
    std::string layer;  // or pattern
    std::string level;  // canonical, see search/level_name.h
    int64_t cost = 0;
    std::string place;  // "file:12", for messages
  };
  std::string path;
  std::string sha256;  // of the file
  std::string kind;
  std::string unit;
  int64_t constant = 0;
  std::vector<Entry> entries;
};

// InvalidArgument names file and line, and what is wrong there; NotFound if
// the file cannot be read.
absl::StatusOr<CostTable> ReadCostTable(const std::string& path);
absl::StatusOr<std::vector<CostTable>> ReadCostTables(
    const std::vector<std::string>& paths);

// Adds the table's kind as the last of `space`; a unit of several layers costs
// their sum, and a module what its layers cost. InvalidArgument, naming file,
// layer and level, for a choice without a cost, two patterns that disagree
// about one, an entry whose layer is none of the space's, or a kind that is
// there already.
absl::Status AddCostKind(const CostTable& table, search::SearchSpace& space);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_COST_TABLE_H_
