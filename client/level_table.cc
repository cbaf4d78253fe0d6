#include "client/level_table.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include "absl/strings/str_cat.h"

namespace evopress::client {
namespace {

using Choice = std::pair<std::string, std::string>;  // layer, level

constexpr size_t kHashesPerCall = 10'000;

std::string StatisticsOf(const v1::JobSpec& spec) {
  for (const v1::TokenSetRef& set : spec.data()) {
    if (set.role() == v1::TokenSetRef::STATISTICS) return set.sha256();
  }
  return "";
}

}  // namespace

absl::StatusOr<v1::LevelTable> FetchLevelTable(const FetchArtifact& fetch,
                                               const v1::Job& job) {
  if (job.level_table_sha256().empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(job.name(), " has no levels yet"));
  }
  auto path = fetch(job.level_table_sha256());
  if (!path.ok()) return path.status();
  std::ifstream in(*path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  v1::LevelTable table;
  if (!in || !table.ParseFromString(bytes)) {
    return absl::DataLossError(
        absl::StrCat("the level table of ", job.name(), " cannot be read"));
  }
  return table;
}

absl::StatusOr<std::set<Choice>> FindPresentLevels(
    ServiceClient& client, const FetchArtifact& fetch,
    const std::vector<v1::Job>& jobs, const v1::JobSpec& spec,
    const std::string& numeric_class) {
  std::map<std::string, std::set<Choice>> choices;  // by blob
  std::set<std::string> tables;
  for (const v1::Job& job : jobs) {
    if (job.level_table_sha256().empty() ||
        job.spec().model().hash() != spec.model().hash() ||
        StatisticsOf(job.spec()) != StatisticsOf(spec) ||
        (!numeric_class.empty() && job.numeric_class() != numeric_class) ||
        !tables.insert(job.level_table_sha256()).second) {
      continue;
    }
    auto table = FetchLevelTable(fetch, job);
    if (!table.ok()) return table.status();
    for (const auto& unit : table->units()) {
      for (const auto& level : unit.levels()) {
        for (int l = 0; l < level.blobs_size() && l < unit.layers_size(); ++l) {
          const std::string& sha256 = level.blobs(l).sha256();
          if (sha256.empty()) continue;
          choices[sha256].emplace(unit.layers(l), level.name());
        }
      }
    }
  }
  std::vector<std::string> blobs;
  for (const auto& [sha256, unused] : choices) blobs.push_back(sha256);
  std::set<Choice> present;
  for (size_t first = 0; first < blobs.size(); first += kHashesPerCall) {
    const size_t last = std::min(blobs.size(), first + kHashesPerCall);
    const std::vector<std::string> page(blobs.begin() + first,
                                        blobs.begin() + last);
    auto sizes = client.StatArtifacts(page);
    if (!sizes.ok()) return sizes.status();
    for (size_t i = 0; i < page.size(); ++i) {
      if ((*sizes)[i] < 0) continue;
      present.insert(choices[page[i]].begin(), choices[page[i]].end());
    }
  }
  return present;
}

}  // namespace evopress::client
