#include "client/export_json.h"

#include <cmath>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/job_text.h"
#include "client/result_table.h"
#include "client/space_builder.h"
#include "client/standing_text.h"
#include "client/version.h"
#include "google/protobuf/util/json_util.h"
#include "proto/conversions.h"

namespace evopress::client {
namespace {

constexpr int kFormatVersion = 1;

std::string RoleName(v1::TokenSetRef::Role role) {
  switch (role) {
    case v1::TokenSetRef::STATISTICS:
      return "statistics";
    case v1::TokenSetRef::SEARCH:
      return "search";
    case v1::TokenSetRef::DECISION:
      return "decision";
    case v1::TokenSetRef::HELD_OUT:
      return "held_out";
    default:
      return "unspecified";
  }
}

nlohmann::json ModelJson(const v1::ModelRef& model) {
  nlohmann::json files = nlohmann::json::array();
  for (const auto& file : model.files()) {
    files.push_back({{"name", file.name()},
                     {"size_bytes", file.size_bytes()},
                     {"sha256", file.sha256()}});
  }
  return {{"hash", model.hash()},
          {"entry", model.entry()},
          {"display_name", model.display_name()},
          {"files", files}};
}

nlohmann::json CalibrationJson(const v1::JobSpec& spec) {
  if (!spec.has_calibration()) return nullptr;
  nlohmann::json domains = nlohmann::json::array();
  for (const auto& domain : spec.calibration().domains()) {
    domains.push_back({{"domain", domain.name()},
                       {"weight", domain.weight()},
                       {"sequences", domain.sequences()}});
  }
  const bool worst = spec.calibration().fitness() == v1::Calibration::WORST;
  return {{"domains", domains}, {"fitness", worst ? "worst" : "mean"}};
}

nlohmann::json DataJson(const v1::JobSpec& spec) {
  nlohmann::json data = nlohmann::json::array();
  for (const auto& set : spec.data()) {
    data.push_back({{"role", RoleName(set.role())},
                    {"domain", set.domain()},
                    {"sha256", set.sha256()},
                    {"sequences", set.sequences()},
                    {"length", set.length()}});
  }
  return data;
}

absl::StatusOr<nlohmann::json> StrategyJson(const v1::JobSpec& spec) {
  std::string text;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  const auto status = google::protobuf::util::MessageToJsonString(
      spec.strategy(), &text, options);
  auto json = nlohmann::json::parse(text, nullptr, false);
  if (!status.ok() || json.is_discarded()) {
    return absl::InternalError("the strategy cannot be written as JSON");
  }
  return json;
}

nlohmann::json CostsJson(const search::SearchSpace& space,
                         const std::vector<int64_t>& costs) {
  nlohmann::json json = nlohmann::json::object();
  for (size_t k = 0; k < costs.size(); ++k) {
    json[space.cost_kinds[k]] = costs[k];
  }
  return json;
}

absl::StatusOr<nlohmann::json> LayersJson(const ExportInput& input) {
  nlohmann::json layers = nlohmann::json::array();
  const auto members = search::MembersOfModules(input.space);
  const search::LevelChoice dropped{
      search::kDrop, std::vector<int64_t>(input.space.cost_kinds.size())};
  for (size_t u = 0; u < input.space.units.size(); ++u) {
    if (!members[u].empty()) continue;
    const search::Unit& unit = input.space.units[u];
    const search::LevelChoice& choice =
        IsActive(input.space, input.assignment, u)
            ? unit.menu[input.assignment.levels[u]]
            : dropped;
    for (size_t l = 0; l < unit.layers.size(); ++l) {
      nlohmann::json layer = {{"layer", unit.layers[l]},
                              {"level", choice.name},
                              {"weights", unit.weights},
                              {"costs", CostsJson(input.space, choice.costs)}};
      if (unit.layers.size() > 1) layer["unit"] = unit.name;
      if (input.levels.units_size() > 0) {
        auto blob = FindBlob(input, static_cast<int>(u), static_cast<int>(l));
        if (!blob.ok()) return blob.status();
        if (*blob != nullptr) {
          layer["blob"] = {{"sha256", (*blob)->sha256()},
                           {"size_bytes", (*blob)->size_bytes()},
                           {"relative_error", (*blob)->relative_error()}};
        }
      }
      layers.push_back(std::move(layer));
    }
  }
  return layers;
}

// What may be dropped, and what is.
nlohmann::json ModulesJson(const ExportInput& input) {
  nlohmann::json modules = nlohmann::json::array();
  const auto members = search::MembersOfModules(input.space);
  for (size_t u = 0; u < input.space.units.size(); ++u) {
    if (members[u].empty()) continue;
    const search::Unit& unit = input.space.units[u];
    for (const std::string& name : unit.layers) {
      modules.push_back(
          {{"module", name},
           {"level", unit.menu[input.assignment.levels[u]].name}});
    }
  }
  return modules;
}

absl::StatusOr<std::string> ReadBytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  if (!in) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  return bytes;
}

}  // namespace

absl::StatusOr<nlohmann::json> MakeRecipe(const ExportInput& input) {
  const v1::JobSpec& spec = input.job.spec();
  auto strategy = StrategyJson(spec);
  if (!strategy.ok()) return strategy.status();
  auto layers = LayersJson(input);
  if (!layers.ok()) return layers.status();
  auto table = MakeResultTable(input.job);
  if (!table.ok()) return table.status();

  nlohmann::json budgets = nlohmann::json::array();
  for (const auto& budget : input.space.budgets) {
    const int64_t cost = Cost(input.space, input.assignment, budget.kind);
    budgets.push_back({{"kind", input.space.cost_kinds[budget.kind]},
                       {"limit", budget.limit},
                       {"cost", cost},
                       {"unspent", budget.limit - cost}});
  }
  std::vector<int64_t> total;
  for (size_t k = 0; k < input.space.cost_kinds.size(); ++k) {
    total.push_back(Cost(input.space, input.assignment, static_cast<int>(k)));
  }
  nlohmann::json fitness = nullptr;
  if (std::isfinite(input.candidate.fitness())) {
    fitness = input.candidate.fitness();
  }
  nlohmann::json labels = nlohmann::json::object();
  for (const auto& [key, value] : spec.labels()) labels[key] = value;
  const std::string menu =
      spec.labels().count("menu") > 0 ? spec.labels().at("menu") : "";
  return nlohmann::json{
      {"format", "evopress-recipe"},
      {"version", kFormatVersion},
      {"evopress_version", kVersion},
      {"job", input.job.name()},
      {"what", input.candidate.name()},
      {"target", input.candidate.target()},
      {"anchor", input.candidate.anchor()},
      {"is_winner", !input.incumbent},
      {"job_state", StateName(input.job.state())},
      {"stopped_by", StopName(input.job)},
      {"reproducible", !input.incumbent && IsReproducible(input.job)},
      {"model", ModelJson(spec.model())},
      {"data", DataJson(spec)},
      {"calibration", CalibrationJson(spec)},
      {"strategy", *strategy},
      {"seed", spec.seed()},
      {"numeric_class", input.job.numeric_class()},
      {"menu", menu},
      {"space_hash", search::Hash(input.space)},
      {"assignment_hash", search::Hash(input.assignment)},
      {"level_table_sha256", input.job.level_table_sha256()},
      {"history_hash", input.job.history_hash()},
      {"rounds", input.job.rounds()},
      {"search_tokens", input.job.search_tokens()},
      {"known_tokens", input.job.known_tokens()},
      {"start_tokens", input.job.start_tokens()},
      {"evaluated_tokens", input.job.evaluated_tokens()},
      {"budgets", budgets},
      {"total_costs", CostsJson(input.space, total)},
      {"fitness", fitness},
      {"standing", StandingJson(input.job, input.candidate)},
      {"results", ToJson(*table)},
      {"layers", *layers},
      {"modules", ModulesJson(input)},
      {"labels", labels}};
}

namespace {

// recipe.json, read back, and the job beside it.
absl::Status WriteRecipe(const nlohmann::json& recipe, const v1::Job& job,
                         OutputDir& out) {
  const std::string text =
      recipe.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) +
      "\n";
  if (absl::Status s = out.Write(kRecipeFile, text); !s.ok()) return s;
  auto read = ReadBytes(absl::StrCat(out.temporary(), "/", kRecipeFile));
  if (!read.ok()) return read.status();
  const auto parsed = nlohmann::json::parse(*read, nullptr, false);
  if (parsed.is_discarded() ||
      parsed.value("history_hash", "") != job.history_hash()) {
    return absl::DataLossError("recipe.json cannot be read back");
  }
  return out.Write(kJobFile, proto::DeterministicBytes(job));
}

}  // namespace

absl::Status ExportJson(const ExportInput& input, OutputDir& out) {
  auto recipe = MakeRecipe(input);
  if (!recipe.ok()) return recipe.status();
  return WriteRecipe(*recipe, input.job, out);
}

absl::Status ExportFrontierJson(const std::vector<ExportInput>& inputs,
                                OutputDir& out) {
  const v1::Job& job = inputs[0].job;
  auto table = MakeResultTable(job);
  if (!table.ok()) return table.status();
  nlohmann::json targets = nlohmann::json::array();
  for (const ExportInput& input : inputs) {
    const search::Budget& budget = input.space.budgets[0];
    targets.push_back(
        {{"target", input.candidate.target()},
         {"directory", input.candidate.target()},
         {"kind", input.space.cost_kinds[budget.kind]},
         {"limit", budget.limit},
         {"cost", Cost(input.space, input.assignment, budget.kind)},
         {"anchor", input.candidate.anchor()},
         {"assignment_hash", search::Hash(input.assignment)}});
  }
  const nlohmann::json recipe = {{"format", "evopress-frontier"},
                                 {"version", kFormatVersion},
                                 {"evopress_version", kVersion},
                                 {"job", job.name()},
                                 {"job_state", StateName(job.state())},
                                 {"history_hash", job.history_hash()},
                                 {"search_tokens", job.search_tokens()},
                                 {"known_tokens", job.known_tokens()},
                                 {"start_tokens", job.start_tokens()},
                                 {"evaluated_tokens", job.evaluated_tokens()},
                                 {"targets", targets},
                                 {"results", ToJson(*table)}};
  return WriteRecipe(recipe, job, out);
}

absl::StatusOr<v1::Job> ReadExportedJob(const std::string& dir) {
  auto bytes = ReadBytes(absl::StrCat(dir, "/", kJobFile));
  if (!bytes.ok()) {
    return absl::NotFoundError(absl::StrCat(
        "\"", dir, "\" is neither a job nor a directory with ", kJobFile));
  }
  v1::Job job;
  if (!job.ParseFromString(*bytes)) {
    return absl::DataLossError(absl::StrCat(dir, "/", kJobFile, " is damaged"));
  }
  return job;
}

}  // namespace evopress::client
