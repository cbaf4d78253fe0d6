// Several calibration domains: how sets are drawn and what fitness is.
#include "search/sample_domains.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "search/measured.h"
#include "search/race_samples.h"
#include "search/uniform.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kInf = std::numeric_limits<double>::infinity();

SampleDomains TwoDomains(DomainFitness fitness = DomainFitness::kMean) {
  return SampleDomains(20, {{"c4", 12, 6}, {"code", 8, 4}}, fitness);
}

SampleSums Kl(double kl, int64_t positions = 10) {
  return {kl * static_cast<double>(positions), 0, 0, positions};
}

// How many of `samples` are of each domain.
std::vector<int32_t> Counts(const SampleDomains& domains,
                            const std::vector<int32_t>& samples) {
  std::vector<int32_t> counts(domains.size(), 0);
  for (int32_t sample : samples) ++counts[domains.Of(sample)];
  return counts;
}

TEST(DomainOrder, NamesEachDomainOnceAndThenFollowsTheWeights) {
  for (const std::vector<double>& weights : std::vector<std::vector<double>>{
           {1}, {0.6, 0.4}, {0.98, 0.01, 0.01}, {3, 1, 2, 5}}) {
    double total = 0;
    for (double weight : weights) total += weight;
    const std::vector<size_t> order = DomainOrder(weights, 1000);
    ASSERT_EQ(order.size(), 1000u);
    std::vector<int> given(weights.size(), 0);
    for (size_t i = 0; i < order.size(); ++i) {
      ++given[order[i]];
      if (i + 1 < weights.size()) continue;
      for (size_t d = 0; d < weights.size(); ++d) {
        EXPECT_GE(given[d], 1);
        const double due = static_cast<double>(i + 1) * weights[d] / total;
        EXPECT_NEAR(given[d], due, 1.0 + static_cast<double>(weights.size()));
      }
    }
    for (size_t d = 0; d < weights.size(); ++d) {
      EXPECT_NEAR(given[d], 1000 * weights[d] / total, 1);
    }
    EXPECT_EQ(DomainOrder(weights, 10),
              std::vector<size_t>(order.begin(), order.begin() + 10));
  }
}

TEST(SampleDomains, DrawsTheShareOfEveryDomainWhateverTheSeed) {
  const SampleDomains domains = TwoDomains();
  for (int32_t count = 2; count <= 20; ++count) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      Rng rng(seed);
      const std::vector<int32_t> samples =
          domains.Draw(domains.Shares(count), rng);
      EXPECT_EQ(std::set<int32_t>(samples.begin(), samples.end()).size(),
                static_cast<size_t>(count));
      EXPECT_TRUE(std::is_sorted(samples.begin(), samples.end()));
      EXPECT_EQ(Counts(domains, samples), domains.Shares(count));
    }
  }
  EXPECT_THAT(domains.Shares(5), ElementsAre(3, 2));
  EXPECT_THAT(domains.Shares(2), ElementsAre(1, 1));
}

TEST(SampleDomains, SaysWhichDomainIsTooSmallForWhat) {
  const SampleDomains domains = TwoDomains();
  EXPECT_TRUE(domains.CheckSets("samples", {10, 10}).ok());
  const absl::Status few = domains.CheckSets("samples[0]", {1});
  EXPECT_THAT(std::string(few.message()), HasSubstr("samples[0]: 1 samples"));
  EXPECT_THAT(std::string(few.message()), HasSubstr("2 calibration domains"));
  const absl::Status many = domains.CheckSets("decision", {10, 12});
  EXPECT_THAT(std::string(many.message()),
              HasSubstr("needs 13 samples of domain \"c4\", which has 12"));
}

TEST(SampleDomains, MeanWeighsDomainsWhateverTheirSamplesAndPositions) {
  const SampleDomains domains = TwoDomains();
  const auto means =
      domains.Means({0, 1, 12}, {Kl(1), Kl(3, 30), Kl(10, 7)}, Metric::kKl);
  EXPECT_DOUBLE_EQ(*means[0], 2.5);
  EXPECT_DOUBLE_EQ(*means[1], 10);
  EXPECT_DOUBLE_EQ(domains.Fitness(means), 0.6 * 2.5 + 0.4 * 10);
  EXPECT_EQ(domains.Fitness({1.0, kInf}), kInf);
  EXPECT_EQ(domains.Fitness({std::nullopt, std::nullopt}), kInf);
  EXPECT_DOUBLE_EQ(domains.Fitness({std::nullopt, 3.0}), 3);
}

TEST(SampleDomains, WorstIsTheLargestOfTheDomainsInUnitsOfTheirScale) {
  const SampleDomains domains = TwoDomains(DomainFitness::kWorst);
  const std::vector<SampleSums> scales =
      domains.Scales({0, 12}, {Kl(4), Kl(0.5)});
  const std::vector<int32_t> samples = {1, 13};
  const auto fitness = [&](double c4, double code) {
    return domains.Fitness(domains.Means(
        samples, domains.Relative(samples, {Kl(c4), Kl(code)}, scales),
        Metric::kKl));
  };
  EXPECT_DOUBLE_EQ(fitness(2, 0.1), 0.5);   // c4: half of what it was
  EXPECT_DOUBLE_EQ(fitness(2, 0.45), 0.9);  // code
  // A domain that loses nothing at the start gives no scale.
  EXPECT_EQ(domains.Scales({0, 12}, {Kl(0), Kl(1)})[0].kl, 1);
}

TEST(CheckDomains, NamesValueAndLimit) {
  StrategyInput input;
  input.num_samples = 20;
  const auto message = [&](std::vector<SampleDomain> domains) {
    input.domains = std::move(domains);
    return std::string(CheckDomains(input).message());
  };
  EXPECT_EQ(message({}), "");
  EXPECT_EQ(message({{"a", 12, 1}, {"b", 8, 2}}), "");
  EXPECT_THAT(message({{"a", 20, 1}}),
              HasSubstr("1 calibration domains; 2 to"));
  EXPECT_THAT(message({{"a", 12, 1}, {"b", 8, -2}}), HasSubstr("weight -2"));
  EXPECT_THAT(message({{"a", 12, kInf}, {"b", 8, 1}}), HasSubstr("weight inf"));
  EXPECT_THAT(message({{"a", 12, 1e308}, {"b", 8, 1e308}}),
              HasSubstr("too large"));
  EXPECT_THAT(message({{"a", 20, 1}, {"b", 0, 1}}), HasSubstr("has 0 samples"));
  EXPECT_THAT(message({{"a", 12, 1}, {"b", 9, 1}}), HasSubstr("21 samples"));
}

TEST(RaceSamples, GiveEveryStageAndTheDecisionAllDomainsInProportion) {
  const SampleDomains domains = TwoDomains();
  const RaceSamples samples(domains, /*seed=*/3, {2, 5}, /*decision=*/5);
  const std::set<int32_t> decision(samples.decision().begin(),
                                   samples.decision().end());
  EXPECT_THAT(Counts(domains, samples.decision()), ElementsAre(3, 2));
  for (int race = 0; race < 7; ++race) {
    const std::vector<int32_t> all = samples.Of(race);
    EXPECT_THAT(Counts(domains, all), ElementsAre(3, 2));
    EXPECT_THAT(Counts(domains, samples.Of(race, 0)), ElementsAre(1, 1));
    for (int32_t sample : samples.Of(race, 0)) {
      EXPECT_THAT(all, ::testing::Contains(sample));
    }
    for (int32_t sample : all) EXPECT_EQ(decision.count(sample), 0u);
  }
}

// Measured on two samples of c4 and two of code.
Measured Compared(const SampleDomains& domains, const Assignment& a,
                  std::vector<double> of_a, const Assignment& b,
                  std::vector<double> of_b) {
  Round round;
  RoundResults results;
  for (const auto& [assignment, values] :
       {std::pair{a, of_a}, std::pair{b, of_b}}) {
    round.evaluations.push_back({assignment, {0, 1, 12, 13}});
    std::vector<SampleSums>& row = results.emplace_back();
    for (double value : values) row.push_back(Kl(value));
  }
  Measured measured(domains);
  measured.Add(round, results, Metric::kKl);
  return measured;
}

TEST(Measured, ALeadOverDomainsHasTheErrorWithinThemNotBetweenThem) {
  const Assignment a{{0}};
  const Assignment b{{1}};
  // c4 loses 1 ± 0.1, code gains 5 ± 0.2.
  const Measured measured =
      Compared(TwoDomains(), a, {2.1, 1.9, 1.2, 0.8}, b, {1, 1, 6, 6});
  const std::vector<int32_t> samples = {0, 1, 12, 13};
  const PairedDifference lead = measured.Contest(a, b, samples);
  EXPECT_EQ(lead.samples, 4);
  EXPECT_NEAR(lead.mean, 0.6 * 1 - 0.4 * 5, 1e-12);
  // Var = w1² s1²/2 + w2² s2²/2 with s² = 0.02 and 0.08.
  const double variance = 0.36 * 0.02 / 2 + 0.16 * 0.08 / 2;
  EXPECT_NEAR(lead.variance / 4, variance, 1e-12);
  EXPECT_NEAR(measured.Mean(a, samples), 0.6 * 2 + 0.4 * 1, 1e-12);
}

TEST(Measured, AContestOfTheWorstComparesEachOnItsOwnWorstDomain) {
  const Assignment a{{0}};
  const Assignment b{{1}};
  const Measured measured = Compared(TwoDomains(DomainFitness::kWorst), a,
                                     {3, 3, 2, 2}, b, {1, 1, 4, 4});
  const std::vector<int32_t> samples = {0, 1, 12, 13};
  EXPECT_DOUBLE_EQ(measured.Mean(a, samples), 3);
  EXPECT_DOUBLE_EQ(measured.Mean(b, samples), 4);
  EXPECT_DOUBLE_EQ(measured.Contest(a, b, samples).mean, -1);
  // What is learned of effects still adds up: by weight.
  EXPECT_DOUBLE_EQ(measured.Compare(a, b).mean, 0.6 * 2 - 0.4 * 2);
}

// Units 0 and 1 matter to c4, 2 and 3 to code, and there are bits for one of
// the pairs alone.
struct Conflict {
  Toy toy;
  Measure measure;
};

Conflict MakeConflict(double c4_weight, DomainFitness fitness) {
  Conflict conflict;
  Toy& toy = conflict.toy;
  toy = Ungrouped(MakeToy({8, 8, 8, 8}, {2, 3, 4}, 32 * 3, 1));
  toy.input.layer_errors.assign(4, {1, 0.25, 0.0625});
  toy.input.domains = {{"c4", 9, c4_weight}, {"code", 7, 1 - c4_weight}};
  toy.input.domain_fitness = fitness;
  conflict.measure = [](const Assignment& assignment, int32_t sample) {
    const bool code = sample >= 9;
    double loss = 0;
    for (size_t u = 0; u < 4; ++u) {
      const bool own = (u >= 2) == code;
      loss += (own ? 1.0 : 0.1) / std::pow(4, assignment.levels[u]);
    }
    // Code is read with a twentieth of the surprise.
    const double noise = 1 + 0.001 * (sample % 5);
    return SampleSums{(code ? 0.05 : 1) * loss * noise * 100, 0, 0, 100};
  };
  return conflict;
}

std::vector<std::pair<std::string, StrategyOptions>> Searches() {
  EvoPressOptions evopress;
  evopress.generations = 20;
  evopress.offspring = 8;
  evopress.stages = {{4, 2}, {1, 4}};
  evopress.initial_samples = 4;
  GuidedOptions guided;
  guided.samples = {2, 4};
  guided.decision_samples = 4;
  guided.races = 6;
  guided.candidates = 8;
  return {{"evopress", evopress},
          {"guided", guided},
          {"brute-force", BruteForceOptions{4, Metric::kKl}}};
}

int BitsFor(const Assignment& assignment, bool code) {
  const size_t first = code ? 2 : 0;
  return assignment.levels[first] + assignment.levels[first + 1];
}

TEST(ConflictingDomains, TheMeanSpendsWhereTheWeightIs) {
  for (const auto& [name, options] : Searches()) {
    SCOPED_TRACE(name);
    const Conflict c4 = MakeConflict(0.5, DomainFitness::kMean);
    const auto for_c4 = Search(c4.toy.input, options, c4.measure);
    ASSERT_TRUE(for_c4.ok()) << for_c4.status();
    EXPECT_GT(BitsFor(for_c4->done.winner, false),
              BitsFor(for_c4->done.winner, true));
    const Conflict code = MakeConflict(0.001, DomainFitness::kMean);
    const auto for_code = Search(code.toy.input, options, code.measure);
    ASSERT_TRUE(for_code.ok()) << for_code.status();
    EXPECT_LT(BitsFor(for_code->done.winner, false),
              BitsFor(for_code->done.winner, true));
  }
}

TEST(ConflictingDomains, TheWorstTreatsThemAlikeWhateverTheirScaleAndWeight) {
  for (const auto& [name, options] : Searches()) {
    for (double weight : {0.5, 0.8}) {
      SCOPED_TRACE(name);
      const Conflict conflict = MakeConflict(weight, DomainFitness::kWorst);
      int scales = 0;
      const auto result = Search(conflict.toy.input, options, conflict.measure,
                                 [&](const Round& round) {
                                   scales +=
                                       round.purpose == "scale of each domain";
                                 });
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_EQ(scales, 1);
      EXPECT_EQ(BitsFor(result->done.winner, false),
                BitsFor(result->done.winner, true));
      EXPECT_NEAR(result->done.fitness, 1, 0.01);
      EXPECT_LE(result->measurements * conflict.toy.input.sample_tokens,
                PlannedTokens(conflict.toy.input, options));
    }
  }
}

TEST(ConflictingDomains, EveryRoundSeesEveryDomain) {
  for (auto [name, options] : Searches()) {
    SCOPED_TRACE(name);
    // It asks only for what it does not know of a set; see RaceSamples.
    if (name == "guided") continue;
    const Conflict conflict = MakeConflict(0.6, DomainFitness::kMean);
    const SampleDomains domains(conflict.toy.input);
    const auto result = Search(
        conflict.toy.input, options, conflict.measure, [&](const Round& round) {
          for (const Evaluation& evaluation : round.evaluations) {
            for (int32_t count : Counts(domains, evaluation.samples)) {
              EXPECT_GE(count, 1) << round.purpose;
            }
          }
        });
    ASSERT_TRUE(result.ok()) << result.status();
  }
}

TEST(ConflictingDomains, AStageWithoutASampleOfEachIsRefused) {
  const Conflict conflict = MakeConflict(0.5, DomainFitness::kMean);
  EvoPressOptions evopress;
  evopress.stages = {{8, 1}, {1, 4}};
  EXPECT_THAT(
      std::string(
          MakeStrategy(conflict.toy.input, evopress).status().message()),
      HasSubstr("samples[0]: 1 samples are fewer than the 2"));
  GuidedOptions guided;
  guided.samples = {1, 4};
  guided.decision_samples = 4;
  EXPECT_FALSE(MakeStrategy(conflict.toy.input, guided).ok());
}

TEST(ConflictingDomains, ASnapshotOfAnyRoundGoesOnAlike) {
  for (const auto& [name, options] : Searches()) {
    SCOPED_TRACE(name);
    const Conflict conflict = MakeConflict(0.5, DomainFitness::kWorst);
    auto strategy = MakeStrategy(conflict.toy.input, options);
    ASSERT_TRUE(strategy.ok());
    auto step = (*strategy)->Start();
    while (step.ok() && std::holds_alternative<Round>(*step)) {
      auto copy = MakeStrategy(conflict.toy.input, options);
      auto restored = (*copy)->Restore((*strategy)->Snapshot());
      ASSERT_TRUE(restored.ok()) << restored.status();
      EXPECT_EQ((*copy)->Snapshot(), (*strategy)->Snapshot());
      const RoundResults results =
          MeasureRound(std::get<Round>(*step), conflict.measure);
      step = (*strategy)->Tell(results);
      auto other = (*copy)->Tell(results);
      ASSERT_TRUE(step.ok() && other.ok());
      EXPECT_EQ((*copy)->Snapshot(), (*strategy)->Snapshot());
    }
  }
}

TEST(ConflictingDomains, OtherDomainsAreAnotherJob) {
  const Conflict conflict = MakeConflict(0.5, DomainFitness::kMean);
  const StrategyOptions options = Searches()[0].second;
  auto strategy = MakeStrategy(conflict.toy.input, options);
  ASSERT_TRUE(strategy.ok() && (*strategy)->Start().ok());
  for (int change = 0; change < 3; ++change) {
    StrategyInput input = conflict.toy.input;
    if (change == 0) input.domains[0].weight = 0.7;
    if (change == 1) input.domain_fitness = DomainFitness::kWorst;
    if (change == 2) input.domains = {{"c4", 8, 0.5}, {"code", 8, 0.5}};
    auto other = MakeStrategy(input, options);
    ASSERT_TRUE(other.ok());
    EXPECT_FALSE((*other)->Restore((*strategy)->Snapshot()).ok());
  }
}

TEST(Standing, TellsTheIncumbentByDomainAndItsLeadOverTheRunnerUp) {
  Toy toy = MakeToy({8, 8, 8, 8, 8, 8}, {2, 3, 4}, 48 * 3, 1);
  toy.input.domains = {{"c4", 9, 0.6}, {"code", 7, 0.4}};
  const RandomOptions options{6, 8, Metric::kKl};
  auto strategy = MakeStrategy(toy.input, options);
  ASSERT_TRUE(strategy.ok());
  auto step = (*strategy)->Start();
  ASSERT_TRUE(step.ok());
  const Round round = std::get<Round>(*step);
  for (const Evaluation& evaluation : round.evaluations) {
    EXPECT_FALSE((*strategy)->standing(evaluation.assignment).has_value());
  }
  const RoundResults results = MeasureRound(round, NoisyMeasure(toy));
  ASSERT_TRUE((*strategy)->Tell(results).ok());
  ASSERT_TRUE((*strategy)->incumbent().has_value());
  const Assignment incumbent = (*strategy)->incumbent()->assignment;
  const auto standing = (*strategy)->standing(incumbent);
  ASSERT_TRUE(standing.has_value());
  const SampleDomains domains(toy.input);
  std::vector<double> fitness;
  size_t best = 0;
  for (size_t i = 0; i < results.size(); ++i) {
    fitness.push_back(domains.Fitness(
        domains.Means(round.evaluations[i].samples, results[i], Metric::kKl)));
    if (fitness[i] < fitness[best]) best = i;
  }
  EXPECT_EQ(standing->assignment, round.evaluations[best].assignment);
  const auto means = domains.Means(round.evaluations[best].samples,
                                   results[best], Metric::kKl);
  EXPECT_THAT(standing->domains, ElementsAre(*means[0], *means[1]));
  std::sort(fitness.begin(), fitness.end());
  ASSERT_TRUE(standing->lead.has_value());
  EXPECT_EQ(standing->lead->samples, 8);
  EXPECT_NEAR(standing->lead->mean, fitness[0] - fitness[1], 1e-12);
  EXPECT_GT(standing->lead->variance, 0);
}

}  // namespace
}  // namespace evopress::search
