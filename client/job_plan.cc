#include "client/job_plan.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "client/assignment_source.h"
#include "client/cost_table.h"
#include "client/strategy_flags.h"
#include "client/targets.h"
#include "client/token_data.h"
#include "client/version.h"
#include "proto/conversions.h"
#include "quant/compressor.h"
#include "quant/model_hash.h"
#include "search/assignment_text.h"
#include "search/digest.h"
#include "search/drop_text.h"
#include "search/level_name.h"
#include "search/mutation.h"
#include "search/start_point.h"

namespace evopress::client {
namespace {

namespace fs = std::filesystem;

absl::Status Named(const std::string& what, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(what, ": ", status.message()));
}

// True if a level of a menu is made from statistics.
absl::StatusOr<bool> NeedsStatistics(const search::SearchSpace& space) {
  std::set<std::string> methods;
  for (const search::Unit& unit : space.units) {
    for (const search::LevelChoice& choice : unit.menu) {
      auto level = search::ParseLevel(choice.name);
      if (!level.ok()) return level.status();
      methods.insert(level->method);
    }
  }
  for (const std::string& method : methods) {
    if (method == "keep" || method == "drop") continue;
    auto compressor = quant::FindCompressor(method);
    if (!compressor.ok()) return compressor.status();
    if ((*compressor)->needs_gram()) return true;
  }
  return false;
}

// True if a search by level switches could leave its start.
bool CanTrade(const search::SearchSpace& space) {
  auto starts = search::StartCandidates(space, /*count=*/1, /*seed=*/0);
  if (!starts.ok()) return false;
  return !search::Offspring(space, starts->front(), /*count=*/1,
                            /*max_switches=*/1, /*seed=*/0, /*round=*/0)
              .empty();
}

// The embedding and the head, as far as no other unit has a step of their cost.
std::string OuterUnitsAlone(const search::SearchSpace& space) {
  const int kind = search::SteeringKind(space);
  const auto steps = [&](const search::Unit& unit) {
    std::set<int64_t> found;
    for (size_t l = 1; l < unit.menu.size(); ++l) {
      found.insert(unit.menu[l].costs[kind] - unit.menu[l - 1].costs[kind]);
    }
    return found;
  };
  std::vector<std::string> alone;
  for (const search::Unit& unit : space.units) {
    if (unit.name != kEmbeddingLayer && unit.name != kHeadLayer) continue;
    const std::set<int64_t> own = steps(unit);
    const bool shared = std::any_of(
        space.units.begin(), space.units.end(), [&](const search::Unit& other) {
          if (&other == &unit) return false;
          const std::set<int64_t> theirs = steps(other);
          return std::any_of(own.begin(), own.end(), [&](int64_t step) {
            return theirs.contains(step);
          });
        });
    if (!shared && !own.empty()) alone.push_back(unit.name);
  }
  return absl::StrJoin(alone, " and ");
}

// `status`, with what is missing if an assignment is one of a space with other
// units.
absl::Status WithUnitsHint(const absl::Status& status, const std::string& text,
                           const JobFlags& flags) {
  if (!flags.outer.empty() ||
      (!absl::StrContains(text, absl::StrCat(kEmbeddingLayer, ":")) &&
       !absl::StrContains(text, absl::StrCat(kHeadLayer, ":")))) {
    return status;
  }
  return absl::Status(status.code(),
                      absl::StrCat(status.message(),
                                   "; it was found with embedding or head as "
                                   "units: give --units embed,head too"));
}

// The same command finds its job again, unless the strategy has changed since.
std::string RequestId(const v1::JobSpec& spec,
                      const search::StrategyOptions& strategy) {
  search::CanonicalWriter id("evopress.request.1");
  id.Text(proto::IdentityBytes(spec));
  id.Int(search::StrategyVersion(strategy));
  return id.Sha256();
}

// The budget that steers, for people.
std::string Goal(const BudgetOptions& budget) {
  if (!budget.target_bits.empty()) {
    return absl::StrCat(budget.target_bits, " bits");
  }
  if (!budget.max_size.empty()) return budget.max_size;
  if (!budget.target_sparsity.empty()) {
    return absl::StrCat("sparsity ", budget.target_sparsity);
  }
  if (!budget.budgets.empty()) return budget.budgets[0];
  if (!budget.max_modules.empty()) {
    return absl::StrCat(budget.max_modules, " modules");
  }
  return absl::StrCat(budget.drop_share, " dropped");
}

// Model, space, data: what all jobs share. The strategy comes later.
// `needs` is what the strategy needs; levels may need statistics besides.
absl::StatusOr<JobPlan> PlanCommon(const JobFlags& flags, TokenNeeds needs) {
  auto model = OpenModel(flags.data.model);
  if (!model.ok()) return model.status();
  JobPlan plan;
  plan.warnings = ModelWarnings(**model);
  auto tables = ReadCostTables(flags.cost_tables);
  if (!tables.ok()) return tables.status();
  auto space = PlanSpace(flags, **model, *tables);
  if (!space.ok()) return space.status();
  plan.space = *std::move(space);
  auto targets = SetTargets(flags.budget, plan.space);
  if (!targets.ok()) return targets.status();
  plan.targets = *std::move(targets);
  if (absl::Status s = CheckTargets(plan.space, plan.targets); !s.ok()) {
    return s;
  }

  auto statistics = NeedsStatistics(plan.space);
  if (!statistics.ok()) return statistics.status();
  needs.statistics = needs.statistics || *statistics;
  auto tokens = BuildTokenData(**model, flags.data, needs);
  if (!tokens.ok()) return tokens.status();

  // Hashing reads the whole model: last, when everything else is right.
  auto ref = MakeModelRef(flags.data.model, **model);
  if (!ref.ok()) return ref.status();
  std::map<std::string, std::string> path_of_name;
  for (const std::string& file : (*model)->files()) {
    path_of_name[fs::path(file).filename().string()] = file;
  }
  std::set<std::string> roots;
  for (const auto& file : ref->files()) {
    std::error_code error;
    const fs::path path = fs::absolute(path_of_name[file.name()], error);
    roots.insert(path.parent_path().string());
    const fs::path real = fs::canonical(path, error);
    if (!error) roots.insert(real.parent_path().string());
    plan.artifacts.push_back(
        {file.sha256(), file.size_bytes(), path.string(), "", file.name()});
  }
  plan.local_roots.assign(roots.begin(), roots.end());
  for (auto& artifact : tokens->artifacts) {
    plan.artifacts.push_back(std::move(artifact));
  }
  plan.warnings.insert(plan.warnings.end(), tokens->warnings.begin(),
                       tokens->warnings.end());

  v1::JobSpec& spec = plan.spec;
  *spec.mutable_model() = *std::move(ref);
  *spec.mutable_space() = proto::ToProto(plan.space);
  for (const auto& set : tokens->sets) *spec.add_data() = set;
  if (tokens->calibration.has_value()) {
    *spec.mutable_calibration() = *std::move(tokens->calibration);
  }
  spec.set_seed(flags.strategy.seed);
  auto& labels = *spec.mutable_labels();
  for (const auto& [key, value] : tokens->labels) labels[key] = value;
  labels["client_version"] = kVersion;
  labels["menu"] = flags.menu;
  labels["group"] = flags.group;
  if (!flags.drop.empty()) labels["drop"] = flags.drop;
  if (!flags.outer.empty()) labels["units"] = flags.outer;
  if (!flags.ties.empty()) labels["tie"] = absl::StrJoin(flags.ties, " ");
  for (const CostTable& table : *tables) {
    labels[absl::StrCat("cost_table.", table.kind)] =
        absl::StrCat(table.sha256, " ", table.unit, " of ", table.path);
  }
  std::error_code error;
  labels["model_path"] = fs::absolute(flags.data.model, error).string();
  return plan;
}

absl::Status AddAnchors(const JobFlags& flags, const search::SearchSpace& space,
                        search::StrategyOptions& strategy) {
  if (flags.strategy.anchors.empty()) return absl::OkStatus();
  auto* guided = std::get_if<search::GuidedOptions>(&strategy);
  if (guided == nullptr) {
    return CheckFlagsOfStrategy(flags.strategy.strategy, {"--anchor"});
  }
  auto model = OpenModel(flags.data.model);
  if (!model.ok()) return model.status();
  auto outer = ParseOuterRule(flags.outer);
  if (!outer.ok()) return outer.status();
  for (const std::string& source : flags.strategy.anchors) {
    auto text = ReadAssignmentSource(source, **model, *outer);
    if (!text.ok()) return text.status();
    auto anchor = search::ParseAssignment(space, text->text);
    if (!anchor.ok()) {
      return Named(source, WithUnitsHint(anchor.status(), text->text, flags));
    }
    guided->anchors.push_back(*std::move(anchor));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<search::SearchSpace> PlanSpace(
    const JobFlags& flags, const quant::Checkpoint& model,
    const std::vector<CostTable>& tables) {
  SpaceOptions options;
  options.menu = flags.menu;
  auto rule = search::ParseGroupRule(flags.group);
  if (!rule.ok()) return rule.status();
  options.group = *rule;
  for (const std::string& tie : flags.ties) {
    options.ties.push_back({absl::StrSplit(tie, ',', absl::SkipEmpty())});
  }
  auto drop = ParseDropRule(flags.drop);
  if (!drop.ok()) return drop.status();
  options.drop = *drop;
  auto outer = ParseOuterRule(flags.outer);
  if (!outer.ok()) return outer.status();
  options.outer = *outer;
  auto space = BuildSpace(model.tensors(), options);
  if (!space.ok()) return space.status();
  for (const CostTable& table : tables) {
    if (absl::Status s = AddCostKind(table, *space); !s.ok()) return s;
  }
  return space;
}

absl::StatusOr<std::unique_ptr<quant::Checkpoint>> OpenModel(
    const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    return absl::NotFoundError(absl::StrCat(
        "model \"", path,
        "\" does not exist; give a .gguf file or a Hugging Face directory "
        "with config.json and *.safetensors"));
  }
  auto model = quant::Checkpoint::Open(path);
  if (!model.ok() && !absl::StrContains(model.status().message(), path)) {
    return Named(path, model.status());
  }
  return model;
}

absl::StatusOr<v1::ModelRef> MakeModelRef(const std::string& path,
                                          const quant::Checkpoint& model) {
  auto manifest = quant::MakeModelManifest(model.files());
  if (!manifest.ok()) return manifest.status();
  v1::ModelRef ref;
  ref.set_hash(manifest->Hash());
  for (const quant::ModelFile& file : manifest->files) {
    auto& out = *ref.add_files();
    out.set_name(file.name);
    out.set_size_bytes(file.size);
    out.set_sha256(file.sha256);
  }
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    ref.set_entry(fs::path(path).filename().string());
  }
  ref.set_display_name(path);
  return ref;
}

std::vector<std::string> ModelWarnings(const quant::Checkpoint& model) {
  std::map<std::string, int> quantized;
  for (const quant::TensorInfo& tensor : model.tensors()) {
    if (!IsSearched(tensor)) continue;
    const std::string& type = tensor.source_type;
    if (type != "F32" && type != "F16" && type != "BF16" && type != "F64") {
      ++quantized[type];
    }
  }
  if (quantized.empty()) return {};
  std::vector<std::string> types;
  for (const auto& [type, count] : quantized) {
    types.push_back(absl::StrCat(count, " layers of ", type));
  }
  return {absl::StrCat(
      "the source is quantized already (", absl::StrJoin(types, ", "),
      "): the reference is the dequantized model, and levels of 4 bits and "
      "more may look better than they are")};
}

absl::StatusOr<JobPlan> PlanSearch(JobFlags flags) {
  const BudgetOptions& budget = flags.budget;
  if (budget.target_bits.empty() && budget.max_size.empty() &&
      budget.target_sparsity.empty() && budget.budgets.empty() &&
      budget.drop_share.empty() && budget.max_modules.empty()) {
    return absl::InvalidArgumentError(
        "no budget: give --target-bits 3, --max-size 90MB, --target-sparsity "
        "0.5 or --budget code_bits=N; with --drop also --drop-share 0.25 or "
        "--max-modules N");
  }
  const std::string raised =
      RaiseDefaultTokens(flags.data.calibration.size(),
                         flags.data.sequence_length, flags.strategy);
  auto strategy = ToStrategyOptions(flags.strategy, flags.data.sequence_length);
  if (!strategy.ok()) return strategy.status();
  TokenNeeds needs;
  needs.statistics =
      search::NeededScore(*strategy) != search::ModelScore::kNone;
  if (!needs.statistics &&
      !std::holds_alternative<search::UniformOptions>(*strategy) &&
      !std::holds_alternative<search::DpOptions>(*strategy)) {
    needs.search = NeededTokens(flags.strategy);
  }
  auto plan = PlanCommon(flags, needs);
  if (!plan.ok()) return plan.status();
  if (!needs.search.empty() && !raised.empty())
    plan->warnings.push_back(raised);
  if (absl::StartsWith(flags.strategy.strategy, "drop-") &&
      !search::OnlyDrops(plan->space)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--strategy ", flags.strategy.strategy,
        " scores modules alone: give --drop and --menu keep, or use greedy"));
  }
  if (flags.strategy.strategy == "owl" && !flags.outer.empty()) {
    return absl::InvalidArgumentError(
        "--strategy owl goes by the outliers of blocks, and embedding and head "
        "are in none; leave out --units");
  }
  if (absl::Status s = AddAnchors(flags, plan->space, *strategy); !s.ok()) {
    return s;
  }
  v1::JobSpec& spec = plan->spec;
  *spec.mutable_strategy() = proto::ToProto(*strategy);
  if (flags.strategy.max_tokens > 0) {
    spec.mutable_limits()->set_max_tokens(flags.strategy.max_tokens);
  }
  if (flags.max_hours > 0) {
    auto& limit = *spec.mutable_limits()->mutable_max_time();
    const int64_t nanoseconds =
        absl::ToInt64Nanoseconds(absl::Hours(flags.max_hours));
    limit.set_seconds(nanoseconds / 1'000'000'000);
    limit.set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
  }
  const std::string alone = OuterUnitsAlone(plan->space);
  if (flags.strategy.strategy == "evopress" && !alone.empty()) {
    plan->warnings.push_back(absl::StrCat(
        "evopress trades equal amounts of the first budget's cost, and no "
        "other layer is as large as ",
        alone, ": it keeps its level of the start; use --strategy guided"));
  }
  if (flags.strategy.strategy == "evopress" && !CanTrade(plan->space)) {
    plan->warnings.push_back(absl::StrCat(
        "evopress trades equal amounts of the first budget's cost, ",
        plan->space.cost_kinds[search::SteeringKind(plan->space)],
        ", and here no two layers can: it will find nothing new; name a budget "
        "in bits first (--target-bits) or use --strategy guided"));
  }
  for (const search::Target& target : plan->targets) {
    auto& out = *spec.add_targets();
    out.set_name(target.name);
    out.set_limit(target.limit);
  }
  plan->from = flags.from;
  std::set<std::string> reported;
  for (const search::SearchSpace& one : SpacesOf(plan->space, plan->targets)) {
    auto uniform = FindUniformBaseline(one);
    if (!uniform.has_value() || !reported.insert(uniform->name).second) {
      continue;
    }
    auto& named = *spec.add_report();
    named.set_name(uniform->name);
    *named.mutable_assignment() = proto::ToProto(uniform->assignment);
  }
  if (reported.empty()) {
    plan->warnings.push_back(
        "no uniform assignment meets the budget, so none is reported beside "
        "the winner");
  }
  spec.set_priority(flags.priority);
  spec.set_display_name(
      !flags.display_name.empty()
          ? flags.display_name
          : absl::StrCat(fs::path(flags.data.model).stem().string(), ", ",
                         flags.strategy.strategy, " to ", Goal(budget)));
  plan->request_id = RequestId(spec, *strategy);
  if (absl::Status s = proto::Validate(spec); !s.ok()) return s;
  return plan;
}

absl::StatusOr<JobPlan> PlanMeasurement(
    const JobFlags& flags, const std::vector<NamedText>& assignments) {
  auto plan = PlanCommon(flags, TokenNeeds{.statistics = false, .search = {}});
  if (!plan.ok()) return plan.status();
  v1::JobSpec& spec = plan->spec;
  search::StrategyOptions strategy;
  std::set<std::string> names = {"winner", "reference"};
  for (const NamedText& text : assignments) {
    auto assignment = search::ParseAssignment(plan->space, text.text);
    if (!assignment.ok()) {
      return Named(text.name,
                   WithUnitsHint(assignment.status(), text.text, flags));
    }
    if (!names.insert(text.name).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "two assignments are called \"", text.name, "\"; rename one"));
    }
    auto& named = *spec.add_report();
    named.set_name(text.name);
    *named.mutable_assignment() = proto::ToProto(*assignment);
  }
  if (spec.report_size() > 0) {
    // A strategy needs something to measure: one sequence of the first text,
    // which the report measures anyway.
    const auto held_out = std::find_if(
        spec.data().begin(), spec.data().end(), [](const v1::TokenSetRef& set) {
          return set.role() == v1::TokenSetRef::HELD_OUT;
        });
    if (held_out == spec.data().end()) {
      return absl::InvalidArgumentError(
          "assignments are measured on texts; give --text NAME=FILE");
    }
    v1::TokenSetRef search = *held_out;
    search.set_role(v1::TokenSetRef::SEARCH);
    *spec.add_data() = search;
    search::FixedOptions fixed;
    fixed.samples = {0};
    for (const auto& named : spec.report()) {
      auto assignment = proto::FromProto(named.assignment());
      if (!assignment.ok()) return assignment.status();
      fixed.assignments.push_back(*std::move(assignment));
    }
    strategy = std::move(fixed);
  } else {
    // With nothing to measure, the one strategy that needs no data, under a
    // budget that binds nothing.
    if (plan->space.budgets.empty()) {
      plan->space.budgets.push_back(
          {kCodeBits, ReachableCosts(plan->space, kCodeBits).max});
      search::SortMenus(plan->space);
      *spec.mutable_space() = proto::ToProto(plan->space);
    }
    strategy = search::UniformOptions{};
  }
  *spec.mutable_strategy() = proto::ToProto(strategy);
  spec.set_priority(flags.priority);
  spec.set_display_name(
      !flags.display_name.empty()
          ? flags.display_name
          : absl::StrCat("measure ",
                         fs::path(flags.data.model).stem().string()));
  plan->request_id = RequestId(spec, strategy);
  if (absl::Status s = proto::Validate(spec); !s.ok()) return s;
  return plan;
}

}  // namespace evopress::client
