#include "proto/conversions.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <cstdlib>
#include <limits>
#include <map>
#include <set>
#include <type_traits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "search/digest.h"

namespace evopress::proto {
namespace {

constexpr int kMaxUnits = 1 << 20;
constexpr int kMaxMenu = 1 << 10;
constexpr int kMaxSequences = 1 << 24;
constexpr int kMaxLength = 1 << 20;
constexpr int kMaxFiles = 10'000;
constexpr int64_t kMaxPriority = 1000;
constexpr size_t kMaxDomainName = 256;

v1::Metric ToProto(search::Metric metric) {
  switch (metric) {
    case search::Metric::kKl:
      return v1::KL;
    case search::Metric::kTopKKl:
      return v1::TOPK_KL;
    case search::Metric::kNll:
      return v1::NLL;
  }
  return v1::METRIC_UNSPECIFIED;
}

absl::StatusOr<search::Metric> FromProto(v1::Metric metric) {
  switch (metric) {
    case v1::KL:
      return search::Metric::kKl;
    case v1::TOPK_KL:
      return search::Metric::kTopKKl;
    case v1::NLL:
      return search::Metric::kNll;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("fitness metric ", static_cast<int>(metric),
                       " is unknown; use KL, TOPK_KL or NLL"));
  }
}

v1::DropScoreOptions::Score ToProto(search::ModelScore score) {
  switch (score) {
    case search::ModelScore::kCosine:
      return v1::DropScoreOptions::COSINE;
    case search::ModelScore::kMagnitude:
      return v1::DropScoreOptions::MAGNITUDE;
    case search::ModelScore::kWindows:
      return v1::DropScoreOptions::WINDOWS;
    default:
      return v1::DropScoreOptions::SCORE_UNSPECIFIED;
  }
}

absl::StatusOr<search::ModelScore> FromProto(
    v1::DropScoreOptions::Score score) {
  switch (score) {
    case v1::DropScoreOptions::COSINE:
      return search::ModelScore::kCosine;
    case v1::DropScoreOptions::MAGNITUDE:
      return search::ModelScore::kMagnitude;
    case v1::DropScoreOptions::WINDOWS:
      return search::ModelScore::kWindows;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("drop score ", static_cast<int>(score),
                       " is unknown; use COSINE, MAGNITUDE or WINDOWS"));
  }
}

template <typename Message, typename Options>
absl::Status ReadSampled(const Message& message, Options* options) {
  options->samples = message.samples();
  absl::StatusOr<search::Metric> fitness = FromProto(message.fitness());
  if (!fitness.ok()) return fitness.status();
  options->fitness = *fitness;
  return absl::OkStatus();
}

bool IsPlainFileName(const std::string& name) {
  if (name.empty() || name.size() > 255 || name == "." || name == "..") {
    return false;
  }
  for (const unsigned char c : name) {
    if (c < 0x20 || c == 0x7f || c == '/' || c == '\\') return false;
  }
  return true;
}

// A search that may not even begin has no winner.
absl::Status ValidateLimits(const v1::Limits& limits,
                            search::Strategy& strategy, int64_t sample_tokens) {
  if (limits.max_tokens() < 0 || limits.max_time().seconds() < 0 ||
      limits.max_time().nanos() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_tokens=", limits.max_tokens(), " and max_time=",
                     limits.max_time().seconds(), " s must not be negative"));
  }
  if (limits.max_tokens() == 0) return absl::OkStatus();
  const absl::StatusOr<search::Step> step = strategy.Start();
  // What is wrong with the search itself is said when it runs.
  if (!step.ok() || !std::holds_alternative<search::Round>(*step)) {
    return absl::OkStatus();
  }
  const search::Round& first = std::get<search::Round>(*step);
  const int64_t tokens = search::CountSamples(first) * sample_tokens;
  if (tokens <= limits.max_tokens()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("max_tokens=", limits.max_tokens(), " is less than the ",
                   tokens, " tokens of the first round (", first.purpose,
                   "); raise it or measure on fewer"));
}

absl::Status In(absl::string_view field, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(field, ": ", status.message()));
}

absl::Status ReadModules(const v1::SearchSpace& message,
                         search::SearchSpace& space) {
  std::map<std::string, int> index;
  for (size_t u = 0; u < space.units.size(); ++u) {
    index.emplace(space.units[u].name, static_cast<int>(u));
  }
  for (size_t u = 0; u < space.units.size(); ++u) {
    const std::string& module = message.units(static_cast<int>(u)).module();
    if (module.empty()) continue;
    const auto found = index.find(module);
    if (found == index.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "space: unit \"", space.units[u].name, "\" lies in module \"", module,
          "\", which is not a unit of the space"));
    }
    space.units[u].module = found->second;
  }
  return absl::OkStatus();
}

// The numbers are checked by search::MakeStrategy.
absl::Status ValidateCalibration(const v1::JobSpec& spec) {
  if (!spec.has_calibration()) return absl::OkStatus();
  const v1::Calibration& calibration = spec.calibration();
  if (calibration.fitness() != v1::Calibration::MEAN &&
      calibration.fitness() != v1::Calibration::WORST) {
    return absl::InvalidArgumentError(absl::StrCat(
        "calibration.fitness ", calibration.fitness(), " is unknown"));
  }
  if (calibration.domains_size() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("calibration.domains has ", calibration.domains_size(),
                     " entries; leave calibration out if there is one text"));
  }
  std::set<std::string> names;
  for (const v1::Calibration::Domain& domain : calibration.domains()) {
    if (domain.name().empty() || domain.name().size() > kMaxDomainName) {
      return absl::InvalidArgumentError(absl::StrCat(
          "calibration: a domain's name has ", domain.name().size(),
          " bytes; 1 to ", kMaxDomainName, " are possible"));
    }
    if (!names.insert(domain.name()).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "calibration: two domains are called \"", domain.name(), "\""));
    }
  }
  return absl::OkStatus();
}

}  // namespace

v1::SearchSpace ToProto(const search::SearchSpace& space) {
  v1::SearchSpace message;
  for (size_t k = 0; k < space.cost_kinds.size(); ++k) {
    v1::CostKind* kind = message.add_cost_kinds();
    kind->set_name(space.cost_kinds[k]);
    kind->set_constant(space.constant_costs[k]);
  }
  for (const search::Unit& unit : space.units) {
    v1::Unit* out = message.add_units();
    out->set_name(unit.name);
    for (const std::string& layer : unit.layers) out->add_layers(layer);
    out->set_weights(unit.weights);
    out->set_group(unit.group);
    if (unit.module != search::kNoModule) {
      out->set_module(space.units[unit.module].name);
    }
    for (const search::LevelChoice& level : unit.menu) {
      v1::LevelChoice* choice = out->add_menu();
      choice->set_name(level.name);
      for (const int64_t cost : level.costs) choice->add_costs(cost);
    }
  }
  for (const search::Budget& budget : space.budgets) {
    v1::Budget* out = message.add_budgets();
    out->set_kind(budget.kind);
    out->set_limit(budget.limit);
  }
  return message;
}

absl::StatusOr<search::SearchSpace> FromProto(const v1::SearchSpace& message) {
  if (message.units_size() > kMaxUnits) {
    return absl::InvalidArgumentError(
        absl::StrCat("space.units has ", message.units_size(),
                     " entries; the limit is ", kMaxUnits));
  }
  search::SearchSpace space;
  for (const v1::CostKind& kind : message.cost_kinds()) {
    space.cost_kinds.push_back(kind.name());
    space.constant_costs.push_back(kind.constant());
  }
  space.units.reserve(message.units_size());
  for (const v1::Unit& in : message.units()) {
    if (in.menu_size() > kMaxMenu) {
      return absl::InvalidArgumentError(
          absl::StrCat("unit ", in.name(), " has a menu of ", in.menu_size(),
                       " levels; the limit is ", kMaxMenu));
    }
    search::Unit unit;
    unit.name = in.name();
    unit.layers.assign(in.layers().begin(), in.layers().end());
    unit.weights = in.weights();
    unit.group = in.group();
    for (const v1::LevelChoice& choice : in.menu()) {
      unit.menu.push_back(
          {choice.name(), {choice.costs().begin(), choice.costs().end()}});
    }
    space.units.push_back(std::move(unit));
  }
  if (absl::Status s = ReadModules(message, space); !s.ok()) return s;
  for (const v1::Budget& budget : message.budgets()) {
    space.budgets.push_back({budget.kind(), budget.limit()});
  }
  if (absl::Status status = search::Validate(space); !status.ok()) {
    return In("space", status);
  }
  return space;
}

std::string PackLevels(const search::Assignment& assignment) {
  std::string bytes;
  bytes.reserve(2 * assignment.levels.size());
  for (const uint16_t level : assignment.levels) {
    bytes.push_back(static_cast<char>(level & 0xff));
    bytes.push_back(static_cast<char>(level >> 8));
  }
  return bytes;
}

absl::StatusOr<search::Assignment> UnpackLevels(const std::string& bytes) {
  if (bytes.size() % 2 != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "an assignment of ", bytes.size(), " bytes is cut; two bytes a unit"));
  }
  search::Assignment assignment;
  assignment.levels.reserve(bytes.size() / 2);
  for (size_t i = 0; i < bytes.size(); i += 2) {
    const unsigned low = static_cast<unsigned char>(bytes[i]);
    const unsigned high = static_cast<unsigned char>(bytes[i + 1]);
    assignment.levels.push_back(static_cast<uint16_t>(low | high << 8));
  }
  return assignment;
}

v1::Assignment ToProto(const search::Assignment& assignment) {
  v1::Assignment message;
  message.set_levels(PackLevels(assignment));
  return message;
}

absl::StatusOr<search::Assignment> FromProto(const v1::Assignment& message) {
  return UnpackLevels(message.levels());
}

v1::StrategySpec ToProto(const search::StrategyOptions& options) {
  v1::StrategySpec message;
  std::visit(
      [&message](const auto& o) {
        using T = std::decay_t<decltype(o)>;
        if constexpr (std::is_same_v<T, search::EvoPressOptions>) {
          v1::EvoPressOptions* out = message.mutable_evopress();
          out->set_generations(o.generations);
          out->set_offspring(o.offspring);
          for (const search::SelectionStage& stage : o.stages) {
            v1::EvoPressOptions::Stage* s = out->add_stages();
            s->set_survivors(stage.survivors);
            s->set_samples(stage.samples);
          }
          out->set_max_switches(o.max_switches);
          out->set_initial_candidates(o.initial_candidates);
          out->set_initial_samples(o.initial_samples);
          out->set_fitness(ToProto(o.fitness));
        } else if constexpr (std::is_same_v<T, search::UniformOptions>) {
          message.mutable_uniform();
        } else if constexpr (std::is_same_v<T, search::RandomOptions>) {
          message.mutable_random()->set_candidates(o.candidates);
          message.mutable_random()->set_samples(o.samples);
          message.mutable_random()->set_fitness(ToProto(o.fitness));
        } else if constexpr (std::is_same_v<T, search::GreedyOptions>) {
          message.mutable_greedy()->set_samples(o.samples);
          message.mutable_greedy()->set_fitness(ToProto(o.fitness));
        } else if constexpr (std::is_same_v<T, search::DpOptions>) {
          message.mutable_dp();
        } else if constexpr (std::is_same_v<T, search::WeightedDpOptions>) {
          message.mutable_weighted_dp()->set_samples(o.samples);
          message.mutable_weighted_dp()->set_fitness(ToProto(o.fitness));
        } else if constexpr (std::is_same_v<T, search::GuidedOptions>) {
          v1::GuidedOptions* out = message.mutable_guided();
          out->set_races(o.races);
          out->set_candidates(o.candidates);
          for (const int32_t samples : o.samples) out->add_samples(samples);
          out->set_decision_samples(o.decision_samples);
          out->set_max_samples(o.max_samples);
          for (const search::Assignment& anchor : o.anchors) {
            *out->add_anchors() = ToProto(anchor);
          }
          out->set_fitness(ToProto(o.fitness));
        } else if constexpr (std::is_same_v<T, search::BruteForceOptions>) {
          message.mutable_brute_force()->set_samples(o.samples);
          message.mutable_brute_force()->set_fitness(ToProto(o.fitness));
        } else if constexpr (std::is_same_v<T, search::PolicyGradientOptions>) {
          v1::PolicyGradientOptions* out = message.mutable_policy_gradient();
          out->set_steps(o.steps);
          out->set_draws(o.draws);
          out->set_samples(o.samples);
          out->set_window(o.window);
          out->set_learning_rate(o.learning_rate);
          out->set_final_samples(o.final_samples);
          out->set_fitness(ToProto(o.fitness));
        } else if constexpr (std::is_same_v<T, search::SubnetGaOptions>) {
          v1::SubnetGaOptions* out = message.mutable_subnet_ga();
          out->set_generations(o.generations);
          out->set_population(o.population);
          out->set_parents(o.parents);
          out->set_crossovers(o.crossovers);
          out->set_mutation_rate(o.mutation_rate);
          out->set_samples(o.samples);
          out->set_fitness(ToProto(o.fitness));
        } else if constexpr (std::is_same_v<T, search::OwlOptions>) {
          message.mutable_owl()->set_lambda(o.lambda);
        } else if constexpr (std::is_same_v<T, search::DropScoreOptions>) {
          message.mutable_drop_score()->set_score(ToProto(o.score));
        } else {
          static_assert(std::is_same_v<T, search::FixedOptions>);
          v1::FixedOptions* out = message.mutable_fixed();
          for (const search::Assignment& a : o.assignments) {
            *out->add_assignments() = ToProto(a);
          }
          for (const int32_t sample : o.samples) out->add_samples(sample);
          out->set_fitness(ToProto(o.fitness));
        }
      },
      options);
  return message;
}

absl::StatusOr<search::StrategyOptions> FromProto(
    const v1::StrategySpec& message) {
  switch (message.options_case()) {
    case v1::StrategySpec::kEvopress: {
      const v1::EvoPressOptions& in = message.evopress();
      search::EvoPressOptions o;
      o.generations = in.generations();
      o.offspring = in.offspring();
      o.stages.clear();
      for (const auto& stage : in.stages()) {
        o.stages.push_back({stage.survivors(), stage.samples()});
      }
      o.max_switches = in.max_switches();
      o.initial_candidates = in.initial_candidates();
      o.initial_samples = in.initial_samples();
      absl::StatusOr<search::Metric> fitness = FromProto(in.fitness());
      if (!fitness.ok()) return fitness.status();
      o.fitness = *fitness;
      return o;
    }
    case v1::StrategySpec::kUniform:
      return search::UniformOptions{};
    case v1::StrategySpec::kRandom: {
      search::RandomOptions o;
      o.candidates = message.random().candidates();
      if (absl::Status s = ReadSampled(message.random(), &o); !s.ok()) return s;
      return o;
    }
    case v1::StrategySpec::kGreedy: {
      search::GreedyOptions o;
      if (absl::Status s = ReadSampled(message.greedy(), &o); !s.ok()) return s;
      return o;
    }
    case v1::StrategySpec::kDp:
      return search::DpOptions{};
    case v1::StrategySpec::kWeightedDp: {
      search::WeightedDpOptions o;
      if (absl::Status s = ReadSampled(message.weighted_dp(), &o); !s.ok()) {
        return s;
      }
      return o;
    }
    case v1::StrategySpec::kFixed: {
      search::FixedOptions o;
      for (const v1::Assignment& in : message.fixed().assignments()) {
        absl::StatusOr<search::Assignment> a = FromProto(in);
        if (!a.ok()) return a.status();
        o.assignments.push_back(*std::move(a));
      }
      o.samples.assign(message.fixed().samples().begin(),
                       message.fixed().samples().end());
      absl::StatusOr<search::Metric> fitness =
          FromProto(message.fixed().fitness());
      if (!fitness.ok()) return fitness.status();
      o.fitness = *fitness;
      return o;
    }
    case v1::StrategySpec::kGuided: {
      const v1::GuidedOptions& in = message.guided();
      search::GuidedOptions o;
      o.races = in.races();
      o.candidates = in.candidates();
      o.samples.assign(in.samples().begin(), in.samples().end());
      o.decision_samples = in.decision_samples();
      o.max_samples = in.max_samples();
      for (const v1::Assignment& anchor : in.anchors()) {
        absl::StatusOr<search::Assignment> a = FromProto(anchor);
        if (!a.ok()) return a.status();
        o.anchors.push_back(*std::move(a));
      }
      absl::StatusOr<search::Metric> fitness = FromProto(in.fitness());
      if (!fitness.ok()) return fitness.status();
      o.fitness = *fitness;
      return o;
    }
    case v1::StrategySpec::kBruteForce: {
      search::BruteForceOptions o;
      if (absl::Status s = ReadSampled(message.brute_force(), &o); !s.ok()) {
        return s;
      }
      return o;
    }
    case v1::StrategySpec::kPolicyGradient: {
      const v1::PolicyGradientOptions& in = message.policy_gradient();
      search::PolicyGradientOptions o;
      o.steps = in.steps();
      o.draws = in.draws();
      o.window = in.window();
      o.learning_rate = in.learning_rate();
      o.final_samples = in.final_samples();
      if (absl::Status s = ReadSampled(in, &o); !s.ok()) return s;
      return o;
    }
    case v1::StrategySpec::kSubnetGa: {
      const v1::SubnetGaOptions& in = message.subnet_ga();
      search::SubnetGaOptions o;
      o.generations = in.generations();
      o.population = in.population();
      o.parents = in.parents();
      o.crossovers = in.crossovers();
      o.mutation_rate = in.mutation_rate();
      if (absl::Status s = ReadSampled(in, &o); !s.ok()) return s;
      return o;
    }
    case v1::StrategySpec::kOwl:
      return search::OwlOptions{message.owl().lambda()};
    case v1::StrategySpec::kDropScore: {
      absl::StatusOr<search::ModelScore> score =
          FromProto(message.drop_score().score());
      if (!score.ok()) return score.status();
      return search::DropScoreOptions{*score};
    }
    case v1::StrategySpec::OPTIONS_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("strategy is not set");
}

absl::StatusOr<std::vector<search::Target>> TargetsOf(const v1::JobSpec& spec) {
  constexpr size_t kMaxName = 64;
  std::vector<search::Target> targets;
  for (const v1::Target& in : spec.targets()) {
    bool plain = !in.name().empty() && in.name().size() <= kMaxName &&
                 in.name().front() != '.';
    for (const char c : in.name()) {
      plain = plain && (absl::ascii_isalnum(c) || c == '.' || c == '-');
    }
    if (!plain) {
      return absl::InvalidArgumentError(absl::StrCat(
          "targets: name \"", in.name(), "\" is not 1 to ", kMaxName,
          " letters, digits, dots and hyphens that begin with no dot"));
    }
    targets.push_back({in.name(), in.limit()});
  }
  return targets;
}

v1::SampleSums ToProto(const search::SampleSums& sums) {
  v1::SampleSums message;
  message.set_kl(sums.kl);
  message.set_topk_kl(sums.topk_kl);
  message.set_nll(sums.nll);
  message.set_positions(sums.positions);
  return message;
}

absl::StatusOr<search::SampleSums> FromProto(const v1::SampleSums& message) {
  if (message.positions() <= 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a measurement over ", message.positions(), " positions is empty"));
  }
  return search::SampleSums{message.kl(), message.topk_kl(), message.nll(),
                            message.positions()};
}

std::string DeterministicBytes(const google::protobuf::MessageLite& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializePartialToCodedStream(&coded);
  }
  return bytes;
}

void ReadSamples(const v1::JobSpec& spec, search::StrategyInput& input) {
  input.seed = spec.seed();
  for (const v1::TokenSetRef& set : spec.data()) {
    if (set.role() != v1::TokenSetRef::SEARCH) continue;
    input.num_samples = set.sequences();
    input.sample_tokens = set.length();
  }
  for (const v1::Calibration::Domain& domain : spec.calibration().domains()) {
    input.domains.push_back(
        {domain.name(), domain.sequences(), domain.weight()});
  }
  input.domain_fitness = spec.calibration().fitness() == v1::Calibration::WORST
                             ? search::DomainFitness::kWorst
                             : search::DomainFitness::kMean;
}

std::string IdentityBytes(v1::JobSpec spec) {
  spec.clear_labels();
  spec.clear_display_name();
  spec.clear_priority();
  spec.mutable_model()->clear_display_name();
  return DeterministicBytes(spec);
}

bool IsSha256(const std::string& text) {
  if (text.size() != 64) return false;
  for (const char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

absl::Status Validate(const v1::ModelRef& model) {
  if (!IsSha256(model.hash())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model.hash \"", model.hash(), "\" is not 64 lower-case hex digits"));
  }
  if (model.files_size() == 0 || model.files_size() > kMaxFiles) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.files has ", model.files_size(), " entries; 1 to ",
                     kMaxFiles, " are possible"));
  }
  // The canonical text of quant/model_hash.h.
  std::string text = "evopress model 1\n";
  bool has_entry = model.entry().empty();
  for (const v1::ModelRef::File& file : model.files()) {
    if (!IsPlainFileName(file.name())) {
      return absl::InvalidArgumentError(absl::StrCat(
          "model file name \"", file.name(), "\" is not a plain file name"));
    }
    if (file.size_bytes() < 0 || !IsSha256(file.sha256())) {
      return absl::InvalidArgumentError(absl::StrCat(
          "model file \"", file.name(), "\" has no valid size and SHA-256"));
    }
    absl::StrAppend(&text, file.sha256(), " ", file.size_bytes(), " ",
                    file.name(), "\n");
    has_entry = has_entry || file.name() == model.entry();
  }
  if (const std::string hash = search::Sha256Hex(text); hash != model.hash()) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.hash ", model.hash(),
                     " does not cover "
                     "model.files, whose hash is ",
                     hash));
  }
  if (!has_entry) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model.entry \"", model.entry(), "\" is none of model.files"));
  }
  return absl::OkStatus();
}

absl::Status Validate(const v1::TokenSetRef& set) {
  if (set.role() == v1::TokenSetRef::ROLE_UNSPECIFIED) {
    return absl::InvalidArgumentError("token set without a role");
  }
  if (!IsSha256(set.sha256())) {
    return absl::InvalidArgumentError(
        absl::StrCat("token set hash \"", set.sha256(),
                     "\" is not 64 lower-case hex digits"));
  }
  if (set.sequences() < 1 || set.sequences() > kMaxSequences) {
    return absl::InvalidArgumentError(
        absl::StrCat("token set has ", set.sequences(), " sequences; 1 to ",
                     kMaxSequences, " are possible"));
  }
  if (set.length() < 2 || set.length() > kMaxLength) {
    return absl::InvalidArgumentError(
        absl::StrCat("token set has sequences of ", set.length(),
                     " tokens; 2 to ", kMaxLength, " are possible"));
  }
  return absl::OkStatus();
}

absl::Status Validate(const v1::JobSpec& spec) {
  if (absl::Status s = Validate(spec.model()); !s.ok()) return s;
  if (std::abs(int64_t{spec.priority()}) > kMaxPriority) {
    return absl::InvalidArgumentError(
        absl::StrCat("priority ", spec.priority(), " is not within -",
                     kMaxPriority, " and ", kMaxPriority));
  }
  absl::StatusOr<search::SearchSpace> space = FromProto(spec.space());
  if (!space.ok()) return space.status();
  int statistics = 0;
  const v1::TokenSetRef* search_set = nullptr;
  for (int i = 0; i < spec.data_size(); ++i) {
    const v1::TokenSetRef& set = spec.data(i);
    if (absl::Status s = Validate(set); !s.ok()) {
      return In(absl::StrCat("data[", i, "]"), s);
    }
    if (set.role() == v1::TokenSetRef::STATISTICS) ++statistics;
    if (set.role() != v1::TokenSetRef::SEARCH) continue;
    if (search_set != nullptr) {
      return absl::InvalidArgumentError("data has more than one SEARCH set");
    }
    search_set = &set;
  }
  if (statistics > 1) {
    return absl::InvalidArgumentError("data has more than one STATISTICS set");
  }
  for (const v1::NamedAssignment& named : spec.report()) {
    absl::StatusOr<search::Assignment> a = FromProto(named.assignment());
    if (!a.ok()) return In(absl::StrCat("report ", named.name()), a.status());
    if (absl::Status s = search::Validate(*space, *a); !s.ok()) {
      return In(absl::StrCat("report ", named.name()), s);
    }
  }
  absl::StatusOr<search::StrategyOptions> options = FromProto(spec.strategy());
  if (!options.ok()) return In("strategy", options.status());
  // Given assignments are measured, not searched for: no budget binds them.
  if (!std::holds_alternative<search::FixedOptions>(*options)) {
    if (absl::Status s = search::CheckBudgetsReachable(*space); !s.ok()) {
      return s;
    }
  }
  if (absl::Status s = ValidateCalibration(spec); !s.ok()) return s;
  search::StrategyInput input;
  ReadSamples(spec, input);
  auto targets = TargetsOf(spec);
  if (!targets.ok()) return targets.status();
  input.targets = *std::move(targets);
  for (const std::string& history : spec.start_from()) {
    if (!IsSha256(history)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "start_from \"", history, "\" is not 64 lower-case hex digits"));
    }
  }
  if (search::NeedsLayerErrors(*options)) {
    for (const search::Unit& unit : space->units) {
      input.layer_errors.emplace_back(unit.menu.size(), 0.0);
    }
  }
  input.scores = search::EmptyScores(*space, *options);
  if (!input.scores.empty() && statistics == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("strategy ", search::StrategyName(*options),
                     " needs a STATISTICS set, and data has none"));
  }
  input.space = *std::move(space);
  auto strategy = search::MakeStrategy(std::move(input), *options);
  if (!strategy.ok()) return In("strategy", strategy.status());
  return In("limits",
            ValidateLimits(spec.limits(), **strategy,
                           search_set == nullptr ? 0 : search_set->length()));
}

}  // namespace evopress::proto
