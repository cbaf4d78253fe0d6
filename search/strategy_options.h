// Options of every strategy, and the one place that makes them.
#ifndef EVOPRESS_SEARCH_STRATEGY_OPTIONS_H_
#define EVOPRESS_SEARCH_STRATEGY_OPTIONS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "search/strategy.h"

namespace evopress::search {

// Candidates of one round at most (offspring, random candidates, probes may be
// more): a bound against absurd input, far above any use.
inline constexpr int32_t kMaxCandidates = 4096;
// Switches that make the offspring of one generation, at most; the same bound.
inline constexpr int64_t kMaxSwitches = 16384;

// One selection stage: each candidate is measured on `samples` freshly drawn
// samples, the best `survivors` go on.
struct SelectionStage {
  int32_t survivors = 1;
  int32_t samples = 1;
};

// EvoPress (arXiv 2410.14649, Alg. 1): (1+lambda) elitist search.
struct EvoPressOptions {
  int32_t generations = 30;
  int32_t offspring = 32;
  std::vector<SelectionStage> stages = {{8, 1}, {2, 2}, {1, 8}};
  int32_t max_switches = 3;         // draws min(U{1..m}, U{1..m})
  int32_t initial_candidates = 16;  // when the start point is fractional
  int32_t initial_samples = 8;
  Metric fitness = Metric::kKl;
};

// The dearest level that fits for all units alike, then left-over budget
// unspent. Measures nothing.
struct UniformOptions {};

// Best of `candidates` random assignments that meet the budget exactly where
// they can, all measured on the same samples.
struct RandomOptions {
  int32_t candidates = 32;
  int32_t samples = 8;
  Metric fitness = Metric::kKl;
};

// From the dearest assignment, repeatedly lower the unit whose step costs the
// least measured fitness per bit (probes of one unit at a time, measured once)
// until the budget holds.
struct GreedyOptions {
  int32_t samples = 1;
  Metric fitness = Metric::kKl;
};

// SPDY's exact dynamic programme on relative layer errors (arXiv 2201.13096,
// without its coefficient search). Measures nothing.
struct DpOptions {};

// The same programme on errors weighted by measured sensitivities: each unit
// alone is lowered from the dearest assignment to the level nearest the
// target, and its fitness per unit of error is its weight (the linearity of
// HIGGS, arXiv 2411.17525).
struct WeightedDpOptions {
  int32_t samples = 1;
  Metric fitness = Metric::kKl;
};

// Scan, solve, race, learn: search/guided.h.
struct GuidedOptions {
  int32_t races = 12;                        // at most
  int32_t candidates = 16;                   // of each race
  std::vector<int32_t> samples = {1, 2, 8};  // nested, of each stage of a race
  int32_t decision_samples = 8;              // kept apart for the last decision
  int64_t max_samples = 0;          // no race that could exceed it; 0: no bound
  std::vector<Assignment> anchors;  // within the budgets; never worse than they
  std::vector<std::string> anchor_names;  // of each; empty: "anchor 1" and on
  Metric fitness = Metric::kKl;
};

// Every assignment that meets the budgets, on the same samples: small spaces
// only (search/brute_force.h).
struct BruteForceOptions {
  int32_t samples = 8;
  Metric fitness = Metric::kKl;
};

// Probabilities of levels, learned from forward passes: policy_gradient.h
// (arXiv 2406.10576).
struct PolicyGradientOptions {
  int32_t steps = 30;
  int32_t draws = 32;         // of each step
  int32_t samples = 1;        // of each step
  int32_t window = 1;         // steps whose mean loss is the baseline
  double learning_rate = 1;   // falls linearly to 0
  int32_t final_samples = 8;  // on which start and outcome are compared
  Metric fitness = Metric::kKl;
};

// The population-based search of arXiv 2409.17372 (there 500 members, 300
// parents, 100 crossovers, a mutation rate of 0.2): subnet_ga.h.
struct SubnetGaOptions {
  int32_t generations = 30;
  int32_t population = 32;  // the first, and children of each generation
  int32_t parents = 16;
  int32_t crossovers = 8;       // of the children; the others are mutants
  double mutation_rate = 0.01;  // of a gene
  int32_t samples = 1;
  Metric fitness = Metric::kKl;
};

// Measures given assignments on given samples and returns the best; what
// `evopress eval` and `compare` run.
struct FixedOptions {
  std::vector<Assignment> assignments;
  std::vector<int32_t> samples;  // empty: all
  Metric fitness = Metric::kKl;
};

// Sparsity by outliers: owl.h (arXiv 2310.05175). Measures nothing.
struct OwlOptions {
  double lambda = 0.08;
};

// Drops the modules of the least score: drop_score.h. Measures nothing.
struct DropScoreOptions {
  ModelScore score = ModelScore::kCosine;  // kMagnitude, kWindows
};

using StrategyOptions =
    std::variant<EvoPressOptions, UniformOptions, RandomOptions, GreedyOptions,
                 DpOptions, WeightedDpOptions, FixedOptions, GuidedOptions,
                 BruteForceOptions, PolicyGradientOptions, SubnetGaOptions,
                 OwlOptions, DropScoreOptions>;

// "evopress", "uniform", "random", "greedy", "dp", "weighted-dp", "fixed",
// "guided", "brute-force", "policy-gradient", "subnet-ga", "owl",
// "drop-score".
std::string StrategyName(const StrategyOptions& options);

// Raised with every change that lets a strategy ask or return something else
// for the same input. Part of the job hash, so that no history or result of an
// earlier version passes for one of this.
int StrategyVersion(const StrategyOptions& options);

// True if the strategy needs StrategyInput::layer_errors.
bool NeedsLayerErrors(const StrategyOptions& options);

// What StrategyInput::scores must hold for the strategy, or kNone.
ModelScore NeededScore(const StrategyOptions& options);

// Scores of the right shape that say nothing, for checks and rehearsals. Empty
// if the strategy needs none.
std::vector<std::vector<double>> EmptyScores(const SearchSpace& space,
                                             const StrategyOptions& options);

// InvalidArgument naming value and limit, e.g. "survivors[2]=9 exceeds
// offspring=8; lower it or raise offspring".
absl::StatusOr<std::unique_ptr<Strategy>> MakeStrategy(
    StrategyInput input, const StrategyOptions& options);

// (assignment, sample) pairs and tokens that the strategy will ask for at most
// (for plans and ETAs), those for the scales of domains among them.
int64_t PlannedSamples(const StrategyInput& input,
                       const StrategyOptions& options);
int64_t PlannedTokens(const StrategyInput& input,
                      const StrategyOptions& options);

// Less than PlannedTokens() if the strategy ends when it finds nothing better:
// what it measures if that is so from the first race on.
int64_t LeastTokens(const StrategyInput& input, StrategyOptions options);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_STRATEGY_OPTIONS_H_
