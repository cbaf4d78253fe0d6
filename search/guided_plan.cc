#include "search/guided_plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "search/guided_state.h"
#include "search/inheritance.h"
#include "search/probes.h"
#include "search/race_samples.h"
#include "search/sample_domains.h"

namespace evopress::search {
namespace {

constexpr size_t kRaceShare = 4;

// Uniform, dp, and weighted dp or, with modules alone, their one-shot score.
int64_t MostAnchors(const GuidedOptions& options) {
  return 3 + static_cast<int64_t>(options.anchors.size());
}

// Units whose probe an archive has.
std::vector<bool> Probed(const StrategyInput& input,
                         const GuidedOptions& options) {
  if (input.archive.empty()) return {};
  const RaceSamples samples(SampleDomains(input), input.seed, options.samples,
                            options.decision_samples);
  return Inherit(input, samples.decision()).probed;
}

}  // namespace

int64_t ScanSamples(const StrategyInput& input, const GuidedOptions& options) {
  const auto probes = static_cast<int64_t>(
      ProbesOfUnits(input.space, Probed(input, options)).size());
  return (probes + 1) * options.samples.front();
}

int64_t LeastSamples(const StrategyInput& input, const GuidedOptions& options) {
  const int64_t start = options.samples[StartStage(options)];
  const int64_t modules = CountModules(input.space);
  const int64_t descent = modules == 0 ? 0
                                       : (kDescentSteps - 1) * (modules + 1) *
                                                 options.samples.front() +
                                             start;
  const int64_t starts = MostAnchors(options) + (modules == 0 ? kShyStarts : 0);
  return starts * start + ScanSamples(input, options) + descent +
         SamplesOfDecision(options);
}

size_t StartStage(const GuidedOptions& options) {
  return options.samples.size() / 2;
}

size_t GoOn(size_t contestants) {
  return std::min(
      contestants,
      std::max<size_t>(2, (contestants + kRaceShare - 1) / kRaceShare));
}

int64_t SamplesOfRace(const SearchSpace& space, const GuidedOptions& options) {
  size_t contestants = static_cast<size_t>(options.candidates);
  int64_t asked = int64_t{options.samples.back()} +  // the incumbent's
                  CountModules(space) * options.samples.front();
  int64_t before = 0;
  for (int32_t samples : options.samples) {
    asked += static_cast<int64_t>(contestants) * (samples - before);
    contestants = GoOn(contestants);
    before = samples;
  }
  return asked;
}

int64_t SamplesOfDecision(const GuidedOptions& options) {
  return (MostAnchors(options) + 1) * options.decision_samples;
}

std::string AnchorName(const GuidedOptions& options, size_t i) {
  return options.anchor_names.empty() ? absl::StrCat("anchor ", i + 1)
                                      : options.anchor_names[i];
}

absl::Status CheckOptions(const StrategyInput& input,
                          const GuidedOptions& options) {
  if (options.races < 1 || options.races > kMaxCandidates) {
    return absl::InvalidArgumentError(
        absl::StrCat("races=", options.races, " is not in 1…", kMaxCandidates));
  }
  if (options.candidates < 2 || options.candidates > kMaxCandidates) {
    return absl::InvalidArgumentError(absl::StrCat(
        "candidates=", options.candidates, " is not in 2…", kMaxCandidates));
  }
  if (options.samples.empty()) {
    return absl::InvalidArgumentError("guided needs a stage of samples");
  }
  if (options.decision_samples < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("decision_samples=", options.decision_samples,
                     " must be at least 2, to judge their spread"));
  }
  int32_t before = 0;
  for (size_t i = 0; i < options.samples.size(); ++i) {
    if (options.samples[i] <= before) {
      return absl::InvalidArgumentError(
          absl::StrCat("samples[", i, "]=", options.samples[i],
                       " must exceed the stage before it, ", before));
    }
    before = options.samples[i];
  }
  if (int64_t{before} + options.decision_samples > input.num_samples) {
    return absl::InvalidArgumentError(
        absl::StrCat("samples[", options.samples.size() - 1, "]=", before,
                     " and decision_samples=", options.decision_samples,
                     " together exceed the ", input.num_samples,
                     " calibration samples; lower them or calibrate on more"));
  }
  if (!options.anchor_names.empty() &&
      options.anchor_names.size() != options.anchors.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.anchor_names.size(), " names given for ",
                     options.anchors.size(), " anchors"));
  }
  for (size_t i = 0; i < options.anchors.size(); ++i) {
    const absl::Status valid = Validate(input.space, options.anchors[i]);
    if (!valid.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("anchors[", i, "]: ", valid.message()));
    }
    for (const Budget& budget : input.space.budgets) {
      const int64_t cost = Cost(input.space, options.anchors[i], budget.kind);
      if (cost <= budget.limit) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "anchors[", i, "] costs ", cost, " ",
          input.space.cost_kinds[budget.kind], ", more than the budget of ",
          budget.limit, "; raise the budget or leave it out"));
    }
  }
  const SampleDomains domains(input);
  for (const std::vector<int32_t>& apart :
       {std::vector{options.samples.front()},
        std::vector{before, options.decision_samples}}) {
    absl::Status drawn =
        domains.CheckSets("samples of races and decision_samples", apart);
    if (!drawn.ok()) return drawn;
  }
  const int64_t least = LeastSamples(input, options);
  if (options.max_samples != 0 && options.max_samples < least) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_samples=", options.max_samples, " is less than the ", least,
        " that anchors, one probe a unit and the decision need"));
  }
  return absl::OkStatus();
}

int64_t PlannedSamples(const StrategyInput& input,
                       const GuidedOptions& options) {
  const int64_t all =
      LeastSamples(input, options) +
      int64_t{options.races} * SamplesOfRace(input.space, options);
  return options.max_samples > 0 ? std::min(options.max_samples, all) : all;
}

}  // namespace evopress::search
