#include "client/search_rehearsal.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "client/engine_speed.h"
#include "client/outer_units.h"
#include "client/space_builder.h"
#include "evopress/v1/tasks.pb.h"
#include "proto/conversions.h"
#include "search/replay.h"
#include "search/rng.h"
#include "server/measurement_plan.h"

namespace evopress::client {
namespace {

// Rounds of the generator for units and for noise.
constexpr uint64_t kUnitRound = 1;
constexpr uint64_t kNoiseRound = 2;
constexpr double kNoise = 0.1;

// Error of each choice as a share of the layer: 4^-bits. Dropping a module
// loses all of every unit inside.
std::vector<std::vector<double>> MadeUpErrors(
    const search::SearchSpace& space) {
  std::vector<std::vector<double>> errors;
  const auto members = search::MembersOfModules(space);
  for (size_t u = 0; u < space.units.size(); ++u) {
    const search::Unit& unit = space.units[u];
    std::vector<double>& levels = errors.emplace_back();
    if (!members[u].empty()) {
      levels = {static_cast<double>(members[u].size()), 0};
      continue;
    }
    for (const search::LevelChoice& level : unit.menu) {
      const double bits =
          static_cast<double>(level.costs[kCodeBits]) /
          static_cast<double>(std::max<int64_t>(1, unit.weights));
      levels.push_back(std::pow(4.0, -bits));
    }
  }
  return errors;
}

search::Measure MadeUpLoss(const search::StrategyInput& input) {
  std::vector<double> weights;
  for (size_t u = 0; u < input.space.units.size(); ++u) {
    search::Rng rng(input.seed, kUnitRound, static_cast<uint32_t>(u));
    weights.push_back(0.2 + rng.Uniform());
  }
  return [weights, space = input.space, errors = input.layer_errors,
          seed = input.seed,
          positions = std::max<int64_t>(1, input.sample_tokens - 1)](
             const search::Assignment& assignment, int32_t sample) {
    double loss = 0;
    uint64_t key = seed;
    for (size_t u = 0; u < assignment.levels.size(); ++u) {
      if (IsActive(space, assignment, u)) {
        loss += weights[u] * errors[u][assignment.levels[u]];
      }
      key = (key ^ (assignment.levels[u] + 1)) * 1099511628211u;
    }
    search::Rng rng(key, kNoiseRound, static_cast<uint32_t>(sample));
    loss *= 1 + kNoise * (rng.Uniform() - 0.5);
    const double sum = loss * static_cast<double>(positions);
    return search::SampleSums{sum, sum, sum, positions};
  };
}

// Packs measurements as the coordinator does and counts what they share.
class WorkCounter {
 public:
  WorkCounter(const search::SearchSpace& space, int64_t length) {
    common_.mutable_data()->set_length(static_cast<int32_t>(length));
    std::set<int> blocks;
    for (const search::Unit& unit : space.units) {
      // An embedding comes before all blocks, a head of its own after them.
      int first = std::numeric_limits<int>::max();
      for (const std::string& layer : unit.layers) {
        if (layer != kHeadLayer) first = std::min(first, BlockOfLayer(layer));
      }
      block_of_unit_.push_back(first);
      if (first >= 0 && first < std::numeric_limits<int>::max()) {
        blocks.insert(first);
      }
    }
    for (int& block : block_of_unit_) {
      block = static_cast<int>(
          std::distance(blocks.begin(), blocks.lower_bound(block)));
    }
    blocks_ = std::max<int>(1, blocks.size());
  }

  std::vector<TaskWork> Count(const search::Round& round) {
    std::vector<server::Pair> pairs;
    for (const search::Evaluation& evaluation : round.evaluations) {
      const std::string levels = proto::PackLevels(evaluation.assignment);
      for (const int32_t sample : evaluation.samples) {
        server::Pair pair{levels, sample};
        if (known_.insert(pair).second) pairs.push_back(std::move(pair));
      }
    }
    std::vector<TaskWork> work;
    for (const v1::EvaluateTask& task : server::PackTasks(common_, pairs)) {
      work.push_back(Count(task));
    }
    return work;
  }

 private:
  TaskWork Count(const v1::EvaluateTask& task) {
    TaskWork work;
    const int64_t length = common_.data().length();
    const int64_t tokens = task.sequences_size() * length;
    work.tokens = tokens * task.assignments_size();
    // Assignments are sorted: each shares most with the one before it.
    double passes = 0;
    for (int a = 0; a < task.assignments_size(); ++a) {
      const int shared =
          a == 0 ? 0
                 : SharedBlocks(task.assignments(a - 1), task.assignments(a));
      passes += static_cast<double>(blocks_ - shared) / blocks_;
    }
    work.block_tokens = passes * static_cast<double>(tokens);
    for (const int32_t sequence : task.sequences()) {
      if (seen_.insert(sequence).second) work.new_tokens += length;
    }
    return work;
  }

  int SharedBlocks(const std::string& a, const std::string& b) const {
    int shared = blocks_;
    for (size_t u = 0; u < block_of_unit_.size(); ++u) {
      if (a.compare(2 * u, 2, b, 2 * u, 2) == 0) continue;
      shared = std::min(shared, block_of_unit_[u]);
    }
    return shared;
  }

  v1::EvaluateTask common_;
  std::vector<int> block_of_unit_;  // counted from 0
  int blocks_ = 1;
  std::set<server::Pair> known_;
  std::set<int32_t> seen_;
};

}  // namespace

absl::StatusOr<Rehearsal> RehearseSearch(search::StrategyInput input,
                                         const search::StrategyOptions& options,
                                         absl::Duration patience) {
  input.layer_errors = MadeUpErrors(input.space);
  input.scores = search::EmptyScores(input.space, options);
  const search::Measure measure = MadeUpLoss(input);
  WorkCounter counter(input.space, input.sample_tokens);
  Rehearsal rehearsal;
  const absl::Time begin = absl::Now();
  absl::Duration counting;
  auto strategy = search::MakeStrategy(std::move(input), options);
  if (!strategy.ok()) return strategy.status();
  auto step = (*strategy)->Start();
  while (step.ok() && absl::Now() - begin < patience) {
    const search::Round* round = std::get_if<search::Round>(&*step);
    rehearsal.finished = round == nullptr;
    if (rehearsal.finished) break;
    const absl::Time asked = absl::Now();
    const std::vector<TaskWork>& work =
        rehearsal.rounds.emplace_back(counter.Count(*round));
    for (const TaskWork& task : work) rehearsal.tokens += task.tokens;
    const search::RoundResults results = search::MeasureRound(*round, measure);
    counting += absl::Now() - asked;
    step = (*strategy)->Tell(results);
  }
  if (!step.ok()) return step.status();
  rehearsal.strategy_seconds =
      absl::ToDoubleSeconds(absl::Now() - begin - counting);
  return rehearsal;
}

}  // namespace evopress::client
