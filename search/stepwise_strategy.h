// What all strategies share: the Start/Tell protocol, the pending round, the
// incumbent and snapshots. A strategy derives from it and writes only its
// First() and Next(), and the state that it has beyond those.
#ifndef EVOPRESS_SEARCH_STEPWISE_STRATEGY_H_
#define EVOPRESS_SEARCH_STEPWISE_STRATEGY_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "search/sample_domains.h"
#include "search/strategy.h"

namespace evopress::search {

// What names a strategy and its job.
struct StrategyIdentity {
  std::string name;              // "evopress"
  std::string hash;              // of space, options, seed and all other input
  Metric fitness = Metric::kKl;  // what Next() is told
  int64_t planned_samples = 0;   // measurements at most, for Round::progress
};

// Thread-compatible.
class StepwiseStrategy : public Strategy {
 public:
  absl::StatusOr<Step> Start() final;
  absl::StatusOr<Step> Tell(const RoundResults& results) final;
  std::optional<Incumbent> incumbent() const final { return incumbent_; }
  std::optional<Standing> standing(const Assignment& incumbent) const override;
  std::vector<Incumbent> incumbents() const override;
  std::string Snapshot() const final;
  absl::StatusOr<Step> Restore(const std::string& snapshot) final;

 protected:
  // REQUIRES: a valid input.space.
  StepwiseStrategy(StrategyInput input, StrategyIdentity identity);

  // False: Start() does not ask whether the budgets can be met.
  virtual bool NeedsBudgets() const { return true; }
  virtual absl::StatusOr<Step> First() = 0;
  // fitness[i] belongs to round.evaluations[i]; +infinity where not finite. By
  // SampleDomains::Fitness().
  virtual absl::StatusOr<Step> Next(const Round& round,
                                    const std::vector<double>& fitness) = 0;
  // False: it compares no domains itself, so results() are as measured.
  virtual bool ScalesDomains() const { return true; }
  // What was measured, sample by sample, in units of the domain's scale if
  // domains().relative(); valid within Next() only.
  const RoundResults& results() const { return *results_; }
  // What is known from elsewhere, in the units of results(); from First() on.
  Archive archive() const;
  // State beyond the pending round and the incumbent; none by default.
  // DataLoss if damaged; exceptions of the JSON library are caught by the
  // caller.
  virtual nlohmann::json SaveState() const;
  virtual absl::Status LoadState(const nlohmann::json& state);

  // An incumbent as part of a snapshot.
  static nlohmann::json Save(const Incumbent& incumbent);
  absl::StatusOr<Incumbent> LoadIncumbent(const nlohmann::json& saved) const;
  // The same of a standing.
  static nlohmann::json Save(const Standing& standing);
  absl::StatusOr<Standing> LoadStanding(const nlohmann::json& saved) const;

  // The next round: every assignment, made canonical, on the same samples.
  Round NewRound(std::string purpose, std::vector<Assignment> assignments,
                 const std::vector<int32_t>& samples);
  // The next round, every assignment on samples of its own.
  Round NewRound(std::string purpose, std::vector<Evaluation> evaluations);
  // Different samples in rising order, drawn afresh for the next round; every
  // domain has its share of them.
  std::vector<int32_t> DrawSamples(int32_t count) const;
  // Makes `winner`, made canonical, the incumbent and ends the search.
  Step Finish(Assignment winner, double fitness,
              const std::string& anchor = "");
  // The same with the best of `round`, by Ranking().
  Step FinishWithBest(const Round& round, const std::vector<double>& fitness);

  const SearchSpace& space() const { return input_.space; }
  const StrategyInput& input() const { return input_; }
  const SampleDomains& domains() const { return domains_; }

  // Samples asked for so far, the pending round's too.
  int64_t asked_samples() const { return measured_samples_ + pending_samples_; }

  std::optional<Incumbent> incumbent_;

 private:
  bool relative() const { return domains_.relative() && ScalesDomains(); }
  // True while the pending round, or the one to come, measures what domains
  // are compared by.
  bool NeedsScales() const {
    return relative() && identity_.planned_samples > 0 && scales_.empty();
  }
  absl::StatusOr<Step> FirstRound();
  absl::StatusOr<Step> TakeRound(const Round& round,
                                 const RoundResults& results);
  void TakeStanding(const Round& round, const RoundResults& plain,
                    const RoundResults& results);

  const StrategyInput input_;
  const SampleDomains domains_;
  const StrategyIdentity identity_;
  int64_t rounds_ = 0;            // made so far
  int64_t measured_samples_ = 0;  // asked for before the pending round
  int64_t pending_samples_ = 0;   // asked for by the pending round
  std::optional<Step> pending_;   // unset before Start()
  const RoundResults* results_ = nullptr;
  std::vector<SampleSums> scales_;  // of each domain
  std::optional<Standing> standing_;
};

// InvalidArgument, naming the option, unless so many samples can be drawn.
absl::Status CheckSampleCount(const std::string& option, int32_t samples,
                              const StrategyInput& input);

// Samples measured before the first round of a strategy, for the scales of
// domains; 0 unless domains are compared.
int64_t SamplesOfScales(const StrategyInput& input);

// Indices of `fitness` from best to worst: by value, then by index. Values
// that are not finite come last.
std::vector<size_t> Ranking(const std::vector<double>& fitness);

// The `count` best by Ranking(), or all if there are fewer, in rising order of
// index: who goes on to the next stage, so that slots break its ties too.
std::vector<size_t> Survivors(const std::vector<double>& fitness, size_t count);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_STEPWISE_STRATEGY_H_
