// The strategy seam: decides what to measure next and what is best.
//
// A strategy is a pure function of (space, its options, seed, told results).
// It performs no I/O, reads no clock and draws randomness only from
// Rng(seed, round, slot), so that the same results always lead to the same
// next round, whoever computed them and in whatever order they arrived.
//
// Protocol: Start() gives the first step. While the step is a Round, the
// caller measures it and calls Tell() with results in the round's own order.
// A Done step ends the search.
#ifndef EVOPRESS_SEARCH_STRATEGY_H_
#define EVOPRESS_SEARCH_STRATEGY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "search/space.h"

namespace evopress::search {

// Sums over the scored positions of one sample; means are derived.
// All in nats. kl: full vocabulary. topk_kl: see worker/loss_head.h.
struct SampleSums {
  double kl = 0;
  double topk_kl = 0;
  double nll = 0;
  int64_t positions = 0;

  bool operator==(const SampleSums&) const = default;
};

enum class Metric { kKl, kTopKKl, kNll };

// Sum of `metric` over all samples divided by the number of positions; added
// up in sample order. +infinity if a sum is not finite or nothing was scored.
double MeanMetric(const std::vector<SampleSums>& samples, Metric metric);

// How much better or worse one assignment is than another, by samples that both
// were measured on, so that what makes a sample hard cancels out.
struct PairedDifference {
  double mean = 0;      // a - b, per position; +infinity: a is not finite
  double variance = 0;  // of one sample's difference; 0 of fewer than two
  int samples = 0;      // that both were measured on
};

// A part of the calibration set that stands for one kind of text.
struct SampleDomain {
  std::string name;     // for people: "c4", "code"
  int32_t samples = 0;  // so many, behind those of the domains before
  double weight = 1;    // positive; only ratios count
};

// What a candidate's fitness is over several domains.
enum class DomainFitness {
  kMean,   // the domains' means of the metric, by weight
  kWorst,  // the largest of the domains' means, each relative to that of the
           // point where evopress starts (start_point.h) on that domain
};

// One candidate, canonical, on some samples (indices into the job's calibration
// set).
struct Evaluation {
  Assignment assignment;
  std::vector<int32_t> samples;
};

struct Round {
  int64_t index = 0;    // 0, 1, 2 … within the search
  std::string purpose;  // for people, e.g. "generation 3, stage 1 of 3"
  double progress = 0;  // share of the search done before this round, 0…1
  std::vector<Evaluation> evaluations;
};

// (assignment, sample) pairs of the round.
int64_t CountSamples(const Round& round);

// results[i][j]: evaluation i, its sample j.
using RoundResults = std::vector<std::vector<SampleSums>>;

// What is known already: sums by canonical assignment and sample.
using Archive = std::map<Assignment, std::map<int32_t, SampleSums>>;

// Sums that are known stay: equal questions have equal answers.
void AddTo(Archive& archive, const Round& round, const RoundResults& results);

struct Done {
  Assignment winner;
  double fitness = 0;  // as last measured; lower is better
};

using Step = std::variant<Round, Done>;

// What can be exported before the search has ended.
struct Incumbent {
  Assignment assignment;
  std::optional<double> fitness;  // unset until first measured
  // The plain solution that this is, e.g. "dp"; empty: the search found it.
  std::string anchor = {};

  bool operator==(const Incumbent&) const = default;
};

// One of several budgets that one search serves, see StrategyInput.
struct Target {
  std::string name;  // for people and files, e.g. "2.5"
  int64_t limit = 0;

  bool operator==(const Target&) const = default;
};

// How the incumbent stands, by the round that measured it on the most samples;
// of several such, the last.
struct Standing {
  Assignment assignment;
  int32_t samples = 0;
  // The mean of the metric by domain; one number if there is one domain.
  std::vector<double> domains;
  // Its fitness less that of the best other candidate of that round. Unset
  // unless they share two samples.
  std::optional<PairedDifference> lead;
};

class Strategy {
 public:
  virtual ~Strategy() = default;

  // The first step. FailedPrecondition if no assignment meets the budgets.
  virtual absl::StatusOr<Step> Start() = 0;

  // `results` must match the round last returned (InvalidArgument otherwise,
  // and the strategy is unchanged).
  virtual absl::StatusOr<Step> Tell(const RoundResults& results) = 0;

  // Unset before the strategy has a feasible assignment.
  virtual std::optional<Incumbent> incumbent() const = 0;

  // How `incumbent`, one of incumbents(), stands. Unset before a round has
  // measured it.
  virtual std::optional<Standing> standing(
      const Assignment& incumbent) const = 0;

  // With StrategyInput::targets the best for each, in their order, else
  // incumbent() alone. Empty before there is something for all of them; the
  // winners once the search has ended.
  virtual std::vector<Incumbent> incumbents() const = 0;

  // All state after the last Start/Tell as text (JSON). Restore() on a
  // freshly made strategy of the same space, options and seed returns the
  // step that was pending. DataLoss if the text is damaged or not ours.
  virtual std::string Snapshot() const = 0;
  virtual absl::StatusOr<Step> Restore(const std::string& snapshot) = 0;
};

// What the uncompressed model's activations say about a unit. A window is a
// run of blocks.
enum class ModelScore {
  kNone,
  kOutliers,   // of the layers' blocks: share of |w| ||x|| far above the mean
  kCosine,     // of modules: 1 - cosine of the hidden states before and after
  kMagnitude,  // of modules: norm of what they add, as a share of the outcome's
  kWindows,    // of windows: angle between the states before and after, / pi
};

// What a strategy may know about the job beside the space.
struct StrategyInput {
  SearchSpace space;
  int32_t num_samples = 0;    // size of the search calibration set
  int64_t sample_tokens = 0;  // tokens of each sample
  // What the samples are of, if of several domains; see sample_domains.h.
  std::vector<SampleDomain> domains = {};
  DomainFitness domain_fitness = DomainFitness::kMean;
  uint64_t seed = 0;
  // layer_errors[u][l]: proxy error of unit u at level l, relative to the
  // unit's own energy: sum tr(dW H dW^T) / sum tr(W H W^T) over its layers. A
  // dropped module loses all energy of each unit inside: as many as there are.
  // Empty unless known; strategies that need it say so (FailedPrecondition).
  std::vector<std::vector<double>> layer_errors;
  // Several limits of the steering budget, each with a winner of its own; the
  // space's own limit is the greatest of them, and so Done::winner that one's.
  // Empty: the space's alone. See pareto.h.
  std::vector<Target> targets = {};
  // Measured before, of this space under any budgets and on these samples.
  // Strategies may learn from it, and ask for less.
  Archive archive = {};
  // scores[u]: what NeededScore() of the strategy's options is for unit u. One
  // number; of kWindows one for each length 1, 2 … of the windows that begin
  // with module u, as far as there are modules. 0 where it says nothing about
  // the unit. Empty unless known; strategies that need it say so.
  std::vector<std::vector<double>> scores = {};
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_STRATEGY_H_
