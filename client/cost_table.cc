#include "client/cost_table.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"
#include "search/grouping.h"
#include "search/level_name.h"
#include "search/sha256.h"

namespace evopress::client {
namespace {

constexpr uintmax_t kMaxBytes = 64 << 20;
constexpr size_t kMaxKindName = 64;

absl::Status Wrong(const std::string& place, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(place, ": ", what));
}

absl::StatusOr<std::string> ReadBytes(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) {
    return absl::NotFoundError(
        absl::StrCat("cost table \"", path, "\" is not a file"));
  }
  if (size > kMaxBytes) {
    return Wrong(path, absl::StrCat("a cost table of ", size,
                                    " bytes; at most ", kMaxBytes));
  }
  std::ifstream in(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  if (!in) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  return bytes;
}

absl::Status CheckKind(const CostTable& table, const std::string& place) {
  const bool word =
      !table.kind.empty() && table.kind.size() <= kMaxKindName &&
      std::all_of(table.kind.begin(), table.kind.end(), [](unsigned char c) {
        return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
      });
  if (!word || table.unit.empty()) {
    return Wrong(place,
                 "a cost table begins with its kind (lower-case letters, "
                 "digits and \"_\") and unit, e.g. \"kind=decode unit=ns\"");
  }
  return absl::OkStatus();
}

absl::Status AddEntry(const std::string& layer, const std::string& level,
                      int64_t cost, const std::string& place,
                      CostTable& table) {
  auto parsed = search::ParseLevel(level);
  if (!parsed.ok()) return Wrong(place, std::string(parsed.status().message()));
  if (cost < 0) {
    return Wrong(place, absl::StrCat("cost ", cost, " is negative"));
  }
  table.entries.push_back({layer, search::Format(*parsed), cost, place});
  return absl::OkStatus();
}

absl::Status ReadHeader(const std::vector<std::string>& fields,
                        const std::string& place, CostTable& table) {
  for (const std::string& field : fields) {
    const std::pair<std::string, std::string> item =
        absl::StrSplit(field, absl::MaxSplits('=', 1));
    if (item.first == "kind") {
      table.kind = item.second;
    } else if (item.first == "unit") {
      table.unit = item.second;
    } else if (item.first != "constant" ||
               !absl::SimpleAtoi(item.second, &table.constant) ||
               table.constant < 0) {
      return Wrong(place, absl::StrCat("\"", field,
                                       "\" is none of kind=NAME, unit=NAME and "
                                       "constant=N with a whole N, 0 or more"));
    }
  }
  return CheckKind(table, place);
}

absl::Status ReadLines(const std::string& bytes, CostTable& table) {
  int64_t number = 0;
  bool header = true;
  for (absl::string_view line : absl::StrSplit(bytes, '\n')) {
    ++number;
    const std::vector<std::string> fields =
        absl::StrSplit(line, absl::ByAnyChar(", \t\r"), absl::SkipEmpty());
    if (fields.empty() || fields[0][0] == '#') continue;
    const std::string place = absl::StrCat(table.path, ":", number);
    if (header) {
      header = false;
      if (absl::Status s = ReadHeader(fields, place, table); !s.ok()) return s;
      continue;
    }
    // The column names of a CSV file.
    if (fields == std::vector<std::string>{"layer", "level", "cost"}) continue;
    int64_t cost = 0;
    if (fields.size() != 3 || !absl::SimpleAtoi(fields[2], &cost)) {
      return Wrong(place, absl::StrCat("\"", absl::StripAsciiWhitespace(line),
                                       "\" is not LAYER LEVEL COST with a "
                                       "whole number as cost"));
    }
    if (absl::Status s = AddEntry(fields[0], fields[1], cost, place, table);
        !s.ok()) {
      return s;
    }
  }
  return header ? CheckKind(table, table.path) : absl::OkStatus();
}

// False unless `json` is a whole number that fits.
bool ReadInteger(const nlohmann::json& json, int64_t& value) {
  if (!json.is_number_integer()) return false;
  if (json.is_number_unsigned() &&
      json.get<uint64_t>() >
          static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return false;
  }
  value = json.get<int64_t>();
  return true;
}

std::string TextAt(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>()
                                                   : std::string();
}

absl::Status ReadJson(const std::string& bytes, CostTable& table) {
  const auto json = nlohmann::json::parse(bytes, nullptr, false);
  if (!json.is_object()) return Wrong(table.path, "is not a JSON object");
  table.kind = TextAt(json, "kind");
  table.unit = TextAt(json, "unit");
  if (absl::Status s = CheckKind(table, table.path); !s.ok()) return s;
  if (json.contains("constant") &&
      (!ReadInteger(json["constant"], table.constant) || table.constant < 0)) {
    return Wrong(table.path, "\"constant\" is not a whole number, 0 or more");
  }
  const auto costs = json.find("costs");
  if (costs == json.end() || !costs->is_array()) {
    return Wrong(table.path, "has no list \"costs\"");
  }
  for (size_t i = 0; i < costs->size(); ++i) {
    const nlohmann::json& item = (*costs)[i];
    const std::string place = absl::StrCat(table.path, " costs[", i, "]");
    int64_t cost = 0;
    if (!item.is_object() || TextAt(item, "layer").empty() ||
        TextAt(item, "level").empty() || !item.contains("cost") ||
        !ReadInteger(item["cost"], cost)) {
      return Wrong(place,
                   "needs \"layer\", \"level\" and a whole number \"cost\"");
    }
    if (absl::Status s = AddEntry(TextAt(item, "layer"), TextAt(item, "level"),
                                  cost, place, table);
        !s.ok()) {
      return s;
    }
  }
  return absl::OkStatus();
}

// The entries of one table by what they are about.
class Costs {
 public:
  static absl::StatusOr<Costs> Make(const CostTable& table,
                                    const search::SearchSpace& space) {
    Costs costs(table);
    std::map<std::string, bool> used;
    const auto members = search::MembersOfModules(space);
    for (size_t u = 0; u < space.units.size(); ++u) {
      if (!members[u].empty()) continue;
      for (const std::string& layer : space.units[u].layers) used[layer] = true;
    }
    for (const CostTable::Entry& entry : table.entries) {
      std::vector<std::string> layers;
      const bool exact = used.contains(entry.layer);
      if (exact) layers.push_back(entry.layer);
      for (auto it = used.begin(); !exact && it != used.end(); ++it) {
        auto matches = search::MatchesPattern(entry.layer, it->first);
        if (!matches.ok()) {
          return Wrong(entry.place, std::string(matches.status().message()));
        }
        if (*matches) layers.push_back(it->first);
      }
      if (layers.empty()) {
        return Wrong(entry.place, absl::StrCat("\"", entry.layer,
                                               "\" is no searched layer and "
                                               "matches none"));
      }
      for (const std::string& layer : layers) {
        if (absl::Status s = costs.Add(layer, exact, entry); !s.ok()) return s;
      }
    }
    return costs;
  }

  absl::StatusOr<int64_t> Of(const std::string& layer,
                             const std::string& level) const {
    for (const auto* entries : {&exact_, &by_pattern_}) {
      const auto found = entries->find({layer, level});
      if (found != entries->end()) return found->second->cost;
    }
    return Wrong(
        table_->path,
        absl::StrCat("no ", table_->kind, " for layer ", layer, " at level ",
                     level, "; add a line \"", layer, " ", level, " COST\""));
  }

 private:
  using Key = std::pair<std::string, std::string>;  // layer, level

  explicit Costs(const CostTable& table) : table_(&table) {}

  absl::Status Add(const std::string& layer, bool exact,
                   const CostTable::Entry& entry) {
    auto& entries = exact ? exact_ : by_pattern_;
    const auto [it, added] = entries.try_emplace({layer, entry.level}, &entry);
    if (added || it->second->cost == entry.cost) return absl::OkStatus();
    return Wrong(
        entry.place,
        absl::StrCat("costs ", entry.cost, " for layer ", layer, " at level ",
                     entry.level, ", but ", it->second->place, " says ",
                     it->second->cost, "; name the layer in full to decide"));
  }

  const CostTable* table_;
  std::map<Key, const CostTable::Entry*> exact_;
  std::map<Key, const CostTable::Entry*> by_pattern_;
};

}  // namespace

absl::StatusOr<CostTable> ReadCostTable(const std::string& path) {
  auto bytes = ReadBytes(path);
  if (!bytes.ok()) return bytes.status();
  CostTable table;
  table.path = path;
  table.sha256 = search::Sha256Hex(*bytes);
  const size_t first = bytes->find_first_not_of(" \t\r\n");
  const bool json = first != std::string::npos && (*bytes)[first] == '{';
  absl::Status status =
      json ? ReadJson(*bytes, table) : ReadLines(*bytes, table);
  if (!status.ok()) return status;
  return table;
}

absl::StatusOr<std::vector<CostTable>> ReadCostTables(
    const std::vector<std::string>& paths) {
  std::vector<CostTable> tables;
  for (const std::string& path : paths) {
    auto table = ReadCostTable(path);
    if (!table.ok()) return table.status();
    tables.push_back(*std::move(table));
  }
  return tables;
}

absl::Status AddCostKind(const CostTable& table, search::SearchSpace& space) {
  if (std::count(space.cost_kinds.begin(), space.cost_kinds.end(), table.kind) >
      0) {
    return Wrong(table.path, absl::StrCat("the kind \"", table.kind,
                                          "\" is there already; call it "
                                          "something else"));
  }
  auto costs = Costs::Make(table, space);
  if (!costs.ok()) return costs.status();
  search::SearchSpace wider = space;
  wider.cost_kinds.push_back(table.kind);
  wider.constant_costs.push_back(table.constant);
  const auto members = search::MembersOfModules(space);
  for (size_t u = 0; u < wider.units.size(); ++u) {
    search::Unit& unit = wider.units[u];
    for (search::LevelChoice& level : unit.menu) {
      int64_t total = 0;
      if (!members[u].empty()) {  // its members cost what it costs
        level.costs.push_back(total);
        continue;
      }
      for (const std::string& layer : unit.layers) {
        auto cost = costs->Of(layer, level.name);
        if (!cost.ok()) return cost.status();
        if (__builtin_add_overflow(total, *cost, &total)) {
          return Wrong(
              table.path,
              absl::StrCat("the ", table.kind, " of unit ", unit.name,
                           " at level ", level.name, " exceeds 64 bits"));
        }
      }
      level.costs.push_back(total);
    }
  }
  space = std::move(wider);
  return absl::OkStatus();
}

}  // namespace evopress::client
