#include "search/strategy_options.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "search/brute_force.h"
#include "search/digest.h"
#include "search/dp.h"
#include "search/drop_score.h"
#include "search/evopress.h"
#include "search/fixed.h"
#include "search/greedy.h"
#include "search/guided.h"
#include "search/owl.h"
#include "search/pareto.h"
#include "search/policy_gradient.h"
#include "search/random_search.h"
#include "search/sample_domains.h"
#include "search/subnet_ga.h"
#include "search/uniform.h"
#include "search/weighted_dp.h"

namespace evopress::search {
namespace {

struct Identity {
  const char* name;
  int version;
};

// In the order of the variant.
constexpr Identity kIdentities[] = {
    {"evopress", 2},    {"uniform", 1},         {"random", 1},    {"greedy", 1},
    {"dp", 2},          {"weighted-dp", 2},     {"fixed", 1},     {"guided", 6},
    {"brute-force", 1}, {"policy-gradient", 1}, {"subnet-ga", 1}, {"owl", 1},
    {"drop-score", 1}};
static_assert(std::size(kIdentities) == std::variant_size_v<StrategyOptions>);

template <typename Options>
Metric FitnessOf(const Options& options) {
  if constexpr (requires { options.fitness; }) return options.fitness;
  return Metric::kKl;
}

void Write(CanonicalWriter& out, const EvoPressOptions& options) {
  out.Int(options.generations);
  out.Int(options.offspring);
  out.Word(options.stages.size());
  for (const SelectionStage& stage : options.stages) {
    out.Int(stage.survivors);
    out.Int(stage.samples);
  }
  out.Int(options.max_switches);
  out.Int(options.initial_candidates);
  out.Int(options.initial_samples);
}
void Write(CanonicalWriter&, const UniformOptions&) {}
void Write(CanonicalWriter& out, const RandomOptions& options) {
  out.Int(options.candidates);
  out.Int(options.samples);
}
void Write(CanonicalWriter& out, const GreedyOptions& options) {
  out.Int(options.samples);
}
void Write(CanonicalWriter&, const DpOptions&) {}
void Write(CanonicalWriter& out, const WeightedDpOptions& options) {
  out.Int(options.samples);
}
void Write(CanonicalWriter& out, const FixedOptions& options) {
  out.Word(options.assignments.size());
  for (const Assignment& assignment : options.assignments) {
    out.Text(Hash(assignment));
  }
  out.Word(options.samples.size());
  for (int32_t sample : options.samples) out.Int(sample);
}

void Write(CanonicalWriter& out, const GuidedOptions& options) {
  out.Int(options.races);
  out.Int(options.candidates);
  out.Word(options.samples.size());
  for (int32_t samples : options.samples) out.Int(samples);
  out.Int(options.decision_samples);
  out.Int(options.max_samples);
  out.Word(options.anchors.size());
  for (const Assignment& anchor : options.anchors) out.Text(Hash(anchor));
  for (const std::string& name : options.anchor_names) out.Text(name);
}

void Write(CanonicalWriter& out, const BruteForceOptions& options) {
  out.Int(options.samples);
}
void Write(CanonicalWriter& out, const PolicyGradientOptions& options) {
  out.Int(options.steps);
  out.Int(options.draws);
  out.Int(options.samples);
  out.Int(options.window);
  out.Double(options.learning_rate);
  out.Int(options.final_samples);
}
void Write(CanonicalWriter& out, const SubnetGaOptions& options) {
  out.Int(options.generations);
  out.Int(options.population);
  out.Int(options.parents);
  out.Int(options.crossovers);
  out.Double(options.mutation_rate);
  out.Int(options.samples);
}

void Write(CanonicalWriter& out, const OwlOptions& options) {
  out.Double(options.lambda);
}
void Write(CanonicalWriter& out, const DropScoreOptions& options) {
  out.Int(static_cast<int64_t>(options.score));
}

std::string JobHash(const StrategyInput& input,
                    const StrategyOptions& options) {
  CanonicalWriter out("evopress.strategy.2");
  out.Text(Hash(input.space));
  out.Int(input.num_samples);
  out.Int(input.sample_tokens);
  out.Word(input.seed);
  out.Word(input.layer_errors.size());
  for (const std::vector<double>& errors : input.layer_errors) {
    out.Word(errors.size());
    for (double error : errors) out.Double(error);
  }
  if (!input.domains.empty()) {
    out.Word(input.domains.size());
    for (const SampleDomain& domain : input.domains) {
      out.Int(domain.samples);
      out.Double(domain.weight);
    }
    out.Int(static_cast<int64_t>(input.domain_fitness));
  }
  for (const std::vector<double>& scores : input.scores) {
    out.Word(scores.size());
    for (double score : scores) out.Double(score);
  }
  out.Text(StrategyName(options));
  out.Int(StrategyVersion(options));
  std::visit(
      [&](const auto& chosen) {
        out.Int(static_cast<int64_t>(FitnessOf(chosen)));
        Write(out, chosen);
      },
      options);
  if (!input.targets.empty()) {
    out.Text("targets");
    out.Word(input.targets.size());
    for (const Target& target : input.targets) {
      out.Text(target.name);
      out.Int(target.limit);
    }
  }
  if (!input.archive.empty()) {
    out.Text("archive");
    out.Word(input.archive.size());
  }
  for (const auto& [assignment, known] : input.archive) {
    out.Text(Hash(assignment));
    out.Word(known.size());
    for (const auto& [sample, sums] : known) {
      out.Int(sample);
      out.Double(sums.kl);
      out.Double(sums.topk_kl);
      out.Double(sums.nll);
      out.Int(sums.positions);
    }
  }
  return out.Sha256();
}

absl::Status CheckLayerErrors(const StrategyInput& input) {
  const auto& units = input.space.units;
  if (input.layer_errors.size() != units.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("layer errors of ", input.layer_errors.size(),
                     " units given; the space has ", units.size()));
  }
  for (size_t u = 0; u < units.size(); ++u) {
    const std::vector<double>& errors = input.layer_errors[u];
    if (errors.size() != units[u].menu.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("unit \"", units[u].name, "\" has ", errors.size(),
                       " layer errors and ", units[u].menu.size(), " levels"));
    }
    for (size_t l = 0; l < errors.size(); ++l) {
      if (!std::isfinite(errors[l]) || errors[l] < 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("layer error ", errors[l], " of unit \"",
                         units[u].name, "\" at level \"", units[u].menu[l].name,
                         "\" must be finite and not negative"));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckArchive(const StrategyInput& input) {
  for (const auto& [assignment, known] : input.archive) {
    const absl::Status valid = Validate(input.space, assignment);
    if (!valid.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("archive: ", valid.message()));
    }
    if (known.empty()) continue;
    const int32_t first = known.begin()->first;
    const int32_t last = known.rbegin()->first;
    if (first < 0 || last >= input.num_samples) {
      return absl::InvalidArgumentError(
          absl::StrCat("archive: sample ", first < 0 ? first : last,
                       " is not one of the ", input.num_samples, " samples"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckScores(const StrategyInput& input, const std::string& name) {
  const auto& units = input.space.units;
  if (input.scores.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "\"", name,
        "\" needs scores of the model's activations, unknown here"));
  }
  if (input.scores.size() != units.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("scores of ", input.scores.size(),
                     " units given; the space has ", units.size()));
  }
  for (size_t u = 0; u < units.size(); ++u) {
    bool valid = !input.scores[u].empty();
    for (double score : input.scores[u]) {
      valid = valid && std::isfinite(score) && score >= 0;
    }
    if (!valid) {
      return absl::InvalidArgumentError(
          absl::StrCat("scores of unit \"", units[u].name,
                       "\" must be finite and not negative"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckInput(const StrategyInput& input,
                        const StrategyOptions& options) {
  const absl::Status space = Validate(input.space);
  if (!space.ok()) return space;
  if (input.num_samples < 0 || input.sample_tokens < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "num_samples=", input.num_samples,
        " and sample_tokens=", input.sample_tokens, " must not be negative"));
  }
  if (absl::Status domains = CheckDomains(input); !domains.ok()) return domains;
  if (absl::Status s = CheckArchive(input); !s.ok()) return s;
  const std::string name = StrategyName(options);
  if (input.domain_fitness == DomainFitness::kWorst &&
      std::holds_alternative<FixedOptions>(options)) {
    return absl::InvalidArgumentError(
        "\"fixed\" has no budget whose start point domains could be compared "
        "with; use the mean over domains");
  }
  if (HasModules(input.space) &&
      std::holds_alternative<PolicyGradientOptions>(options)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "\"", name, "\" does not search over modules; use \"guided\""));
  }
  if (input.space.budgets.empty() &&
      (!std::holds_alternative<FixedOptions>(options) ||
       !input.targets.empty())) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", name, "\" needs a budget"));
  }
  if (NeededScore(options) != ModelScore::kNone) {
    if (absl::Status s = CheckScores(input, name); !s.ok()) return s;
  }
  if (!NeedsLayerErrors(options) && input.layer_errors.empty()) {
    return absl::OkStatus();
  }
  if (input.layer_errors.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("\"", name, "\" needs the layers' errors, unknown here"));
  }
  return CheckLayerErrors(input);
}

}  // namespace

std::string StrategyName(const StrategyOptions& options) {
  return kIdentities[options.index()].name;
}

int StrategyVersion(const StrategyOptions& options) {
  return kIdentities[options.index()].version;
}

bool NeedsLayerErrors(const StrategyOptions& options) {
  return std::holds_alternative<DpOptions>(options) ||
         std::holds_alternative<WeightedDpOptions>(options) ||
         std::holds_alternative<GuidedOptions>(options);
}

ModelScore NeededScore(const StrategyOptions& options) {
  if (std::holds_alternative<OwlOptions>(options)) return ModelScore::kOutliers;
  const auto* drop = std::get_if<DropScoreOptions>(&options);
  return drop == nullptr ? ModelScore::kNone : drop->score;
}

std::vector<std::vector<double>> EmptyScores(const SearchSpace& space,
                                             const StrategyOptions& options) {
  const ModelScore needed = NeededScore(options);
  if (needed == ModelScore::kNone) return {};
  std::vector<std::vector<double>> scores(space.units.size(), {0.0});
  if (needed == ModelScore::kWindows) {
    const std::vector<std::vector<size_t>> members = MembersOfModules(space);
    size_t modules = 0;
    for (size_t u = space.units.size(); u-- > 0;) {
      if (!members[u].empty()) scores[u].assign(++modules, 0.0);
    }
  }
  return scores;
}

absl::StatusOr<std::unique_ptr<Strategy>> MakeStrategy(
    StrategyInput input, const StrategyOptions& options) {
  const absl::Status valid = CheckInput(input, options);
  if (!valid.ok()) return valid;
  if (!input.targets.empty()) {
    const absl::Status checked = CheckTargets(input, options);
    if (!checked.ok()) return checked;
    StrategyIdentity identity{
        StrategyName(options), JobHash(input, options),
        std::visit([](const auto& chosen) { return FitnessOf(chosen); },
                   options),
        PlannedSamples(input, options)};
    return NewPareto(std::move(input), options, std::move(identity));
  }
  return std::visit(
      [&](const auto& chosen) -> absl::StatusOr<std::unique_ptr<Strategy>> {
        const absl::Status checked = CheckOptions(input, chosen);
        if (!checked.ok()) return checked;
        StrategyIdentity identity{StrategyName(options),
                                  JobHash(input, options), FitnessOf(chosen),
                                  PlannedSamples(input, options)};
        return NewStrategy(std::move(input), chosen, std::move(identity));
      },
      options);
}

int64_t PlannedSamples(const StrategyInput& input,
                       const StrategyOptions& options) {
  if (!input.targets.empty()) return PlannedParetoSamples(input, options);
  const int64_t samples = std::visit(
      [&](const auto& chosen) { return PlannedSamples(input, chosen); },
      options);
  if (samples == 0) return 0;
  int64_t all = 0;
  if (__builtin_add_overflow(samples, SamplesOfScales(input), &all)) {
    return std::numeric_limits<int64_t>::max();
  }
  return all;
}

int64_t PlannedTokens(const StrategyInput& input,
                      const StrategyOptions& options) {
  const int64_t samples = PlannedSamples(input, options);
  int64_t tokens = 0;
  if (__builtin_mul_overflow(samples, input.sample_tokens, &tokens)) {
    return std::numeric_limits<int64_t>::max();
  }
  return tokens;
}

int64_t LeastTokens(const StrategyInput& input, StrategyOptions options) {
  if (auto* guided = std::get_if<GuidedOptions>(&options)) {
    guided->races = std::min<int32_t>(guided->races, kPatience);
  }
  return PlannedTokens(input, options);
}

}  // namespace evopress::search
