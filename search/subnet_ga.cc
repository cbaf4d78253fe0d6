#include "search/subnet_ga.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "search/digest.h"
#include "search/recombination.h"
#include "search/rng.h"
#include "search/start_point.h"

namespace evopress::search {
namespace {

// Children drawn for one slot until one is new and meets all budgets.
constexpr int kMaxTriesPerChild = 32;

struct Member {
  Assignment assignment;
  double fitness = 0;
};

class SubnetGa : public StepwiseStrategy {
 public:
  SubnetGa(StrategyInput input, const SubnetGaOptions& options,
           StrategyIdentity identity)
      : StepwiseStrategy(std::move(input), std::move(identity)),
        options_(options) {}

 private:
  absl::StatusOr<Step> First() override {
    absl::StatusOr<std::vector<Assignment>> starts =
        StartCandidates(space(), options_.population, input().seed);
    if (!starts.ok()) return starts.status();
    incumbent_ = Incumbent{starts->front(), std::nullopt};
    const auto mutants = Children(*starts, 0);
    if (!mutants.ok()) return mutants.status();
    std::vector<Assignment> population = *std::move(starts);
    for (const Assignment& mutant : *mutants) {
      if (population.size() == static_cast<size_t>(options_.population)) break;
      population.push_back(mutant);
    }
    return NewRound("the first population", std::move(population),
                    DrawSamples(options_.samples));
  }

  absl::StatusOr<Step> Next(const Round& round,
                            const std::vector<double>& fitness) override {
    Select(round, fitness);
    incumbent_ = Incumbent{parents_[0].assignment, parents_[0].fitness};
    std::vector<Assignment> parents;
    for (const Member& parent : parents_) parents.push_back(parent.assignment);
    while (generation_ < options_.generations) {
      ++generation_;
      absl::StatusOr<std::vector<Assignment>> children =
          Children(parents, options_.crossovers);
      if (!children.ok()) return children.status();
      if (children->empty()) continue;
      return NewRound(absl::StrCat("generation ", generation_),
                      *std::move(children), round.evaluations[0].samples);
    }
    return Finish(parents_[0].assignment, parents_[0].fitness);
  }

  // The best of the parents and those measured; ties go to the earlier.
  void Select(const Round& round, const std::vector<double>& fitness) {
    for (size_t i = 0; i < fitness.size(); ++i) {
      parents_.push_back({round.evaluations[i].assignment, fitness[i]});
    }
    std::vector<double> all;
    for (const Member& member : parents_) all.push_back(member.fitness);
    std::vector<Member> best;
    for (size_t i : Ranking(all)) {
      if (best.size() == static_cast<size_t>(options_.parents)) break;
      best.push_back(std::move(parents_[i]));
    }
    parents_ = std::move(best);
  }

  // New children of the present generation: the first `crossovers` slots by
  // crossover, the others by mutation. Slots that find none stay empty.
  absl::StatusOr<std::vector<Assignment>> Children(
      const std::vector<Assignment>& parents, int32_t crossovers) const {
    std::set<Assignment> seen(parents.begin(), parents.end());
    std::vector<Assignment> children;
    for (int32_t slot = 0; slot < options_.population; ++slot) {
      Rng rng(input().seed, static_cast<uint64_t>(generation_) + 1,
              static_cast<uint32_t>(slot));
      for (int tries = 0; tries < kMaxTriesPerChild; ++tries) {
        const Assignment& parent = parents[rng.Below(parents.size())];
        absl::StatusOr<Assignment> child =
            slot < crossovers
                ? Crossover(space(), parent, parents[rng.Below(parents.size())],
                            rng)
                : Mutate(space(), parent, options_.mutation_rate, rng);
        if (!child.ok()) return child.status();
        if (!WithinBudgets(space(), *child)) continue;
        if (!seen.insert(*child).second) continue;
        children.push_back(*std::move(child));
        break;
      }
    }
    return children;
  }

  nlohmann::json SaveState() const override {
    nlohmann::json parents = nlohmann::json::array();
    for (const Member& parent : parents_) {
      parents.push_back({{"levels", parent.assignment.levels},
                         {"fitness", Bits(parent.fitness)}});
    }
    return {{"generation", generation_}, {"parents", std::move(parents)}};
  }

  absl::Status LoadState(const nlohmann::json& state) override {
    generation_ = state.at("generation").get<int32_t>();
    if (generation_ < 0 || generation_ > options_.generations) {
      return absl::DataLossError("snapshot holds an impossible generation");
    }
    parents_.clear();
    for (const nlohmann::json& saved : state.at("parents")) {
      Member parent{{saved.at("levels").get<std::vector<uint16_t>>()},
                    FromBits(saved.at("fitness").get<uint64_t>())};
      const absl::Status valid = Validate(space(), parent.assignment);
      if (!valid.ok()) return absl::DataLossError(valid.ToString());
      parents_.push_back(std::move(parent));
    }
    return absl::OkStatus();
  }

  const SubnetGaOptions options_;
  std::vector<Member> parents_;  // best first
  int32_t generation_ = 0;       // 0: the first population
};

}  // namespace

absl::Status CheckOptions(const StrategyInput& input,
                          const SubnetGaOptions& options) {
  if (options.generations < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "generations=", options.generations, " must be at least 1"));
  }
  if (options.population < 2 || options.population > kMaxCandidates) {
    return absl::InvalidArgumentError(absl::StrCat(
        "population=", options.population, " is not in 2…", kMaxCandidates));
  }
  if (options.parents < 1 || options.parents > options.population) {
    return absl::InvalidArgumentError(
        absl::StrCat("parents=", options.parents, " is not in 1…population=",
                     options.population, "; lower it or raise the population"));
  }
  if (options.crossovers < 0 || options.crossovers > options.population) {
    return absl::InvalidArgumentError(absl::StrCat(
        "crossovers=", options.crossovers, " is not in 0…population=",
        options.population, "; lower it or raise the population"));
  }
  if (!(options.mutation_rate > 0) || !(options.mutation_rate <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("mutation_rate=", options.mutation_rate,
                     " must be above 0 and at most 1"));
  }
  return CheckSampleCount("samples", options.samples, input);
}

int64_t PlannedSamples(const StrategyInput&, const SubnetGaOptions& options) {
  return (int64_t{options.generations} + 1) * options.population *
         options.samples;
}

std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const SubnetGaOptions& options,
                                      StrategyIdentity identity) {
  return std::make_unique<SubnetGa>(std::move(input), options,
                                    std::move(identity));
}

}  // namespace evopress::search
