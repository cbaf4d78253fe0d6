#include "client/search_story.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/conversions.h"
#include "search/sample_domains.h"
#include "search/strategy.h"
#include "search/strategy_options.h"
#include "server/level_build.h"

namespace evopress::client {
namespace {

search::Metric MetricOf(const search::StrategyOptions& options) {
  return std::visit(
      [](const auto& chosen) {
        if constexpr (requires { chosen.fitness; }) return chosen.fitness;
        return search::Metric::kKl;
      },
      options);
}

std::string NameOf(search::Metric metric) {
  switch (metric) {
    case search::Metric::kKl:
      return "KL";
    case search::Metric::kTopKKl:
      return "top-k KL";
    case search::Metric::kNll:
      return "NLL";
  }
  return "";
}

// The strategy as the coordinator has made it, or null.
std::unique_ptr<search::Strategy> StrategyOf(
    const v1::Job& job, const search::StrategyOptions& options,
    const v1::LevelTable& table, const search::Archive& archive) {
  auto space = proto::FromProto(job.spec().space());
  if (!space.ok()) return nullptr;
  search::StrategyInput input;
  input.space = *std::move(space);
  proto::ReadSamples(job.spec(), input);
  input.layer_errors = server::LayerErrors(table);
  auto targets = proto::TargetsOf(job.spec());
  if (!targets.ok()) return nullptr;
  input.targets = *std::move(targets);
  input.archive = archive;
  // Who goes by scores has no rounds to tell.
  input.scores = search::EmptyScores(input.space, options);
  auto strategy = search::MakeStrategy(std::move(input), options);
  return strategy.ok() ? *std::move(strategy) : nullptr;
}

bool Asks(const search::Step& step, const v1::RoundRecord& record) {
  const search::Round* round = std::get_if<search::Round>(&step);
  if (round == nullptr || round->index != record.index() ||
      static_cast<int>(round->evaluations.size()) !=
          record.evaluations_size()) {
    return false;
  }
  for (int i = 0; i < record.evaluations_size(); ++i) {
    const search::Evaluation& asked = round->evaluations[i];
    const v1::RoundRecord::Evaluation& kept = record.evaluations(i);
    if (proto::PackLevels(asked.assignment) != kept.assignment().levels() ||
        !std::equal(asked.samples.begin(), asked.samples.end(),
                    kept.samples().begin(), kept.samples().end())) {
      return false;
    }
  }
  return true;
}

// Tells the strategy all rounds; false as soon as it asks for something else.
bool Replay(search::Strategy& strategy,
            const std::vector<v1::RoundRecord>& records,
            const std::vector<search::RoundResults>& results,
            std::vector<StoryRound>& rounds) {
  auto step = strategy.Start();
  for (size_t r = 0; r < records.size(); ++r) {
    if (!step.ok() || !Asks(*step, records[r])) return false;
    const std::vector<search::Incumbent> before = strategy.incumbents();
    step = strategy.Tell(results[r]);
    const std::vector<search::Incumbent> after = strategy.incumbents();
    // Of several budgets the one that the round was about.
    for (size_t t = 0; t < after.size(); ++t) {
      if (after.size() > 1 && t < before.size() && before[t] == after[t]) {
        continue;
      }
      rounds[r].incumbent = after[t].fitness;
      rounds[r].changed =
          t >= before.size() || before[t].assignment != after[t].assignment;
    }
  }
  return step.ok();
}

}  // namespace

absl::StatusOr<SearchStory> TellStory(
    const v1::Job& job, const std::vector<v1::RoundRecord>& records,
    const v1::LevelTable& table, const search::Archive& archive) {
  auto options = proto::FromProto(job.spec().strategy());
  if (!options.ok()) return options.status();
  const search::Metric metric = MetricOf(*options);
  int64_t length = 0;
  for (const v1::TokenSetRef& set : job.spec().data()) {
    if (set.role() == v1::TokenSetRef::SEARCH) length = set.length();
  }
  search::StrategyInput input;
  proto::ReadSamples(job.spec(), input);
  if (absl::Status s = search::CheckDomains(input); !s.ok()) return s;
  const search::SampleDomains domains(input);
  std::vector<search::SampleSums> scales;  // told by the first round
  SearchStory story;
  story.metric = domains.relative()
                     ? absl::StrCat("worst relative ", NameOf(metric))
                     : NameOf(metric);
  story.unit = domains.relative() ? "start point = 1" : "nats per token";
  std::vector<search::RoundResults> results;
  int64_t tokens = 0;
  for (const v1::RoundRecord& record : records) {
    StoryRound round;
    round.index = record.index();
    round.purpose = record.purpose();
    search::RoundResults& told = results.emplace_back();
    for (const v1::RoundRecord::Evaluation& evaluation : record.evaluations()) {
      std::vector<search::SampleSums>& sums = told.emplace_back();
      for (const v1::SampleSums& message : evaluation.sums()) {
        auto sum = proto::FromProto(message);
        if (!sum.ok()) return sum.status();
        sums.push_back(*sum);
      }
      const std::vector<int32_t> samples(evaluation.samples().begin(),
                                         evaluation.samples().end());
      round.samples += evaluation.samples_size();
      if (sums.size() != samples.size()) {  // a round still pending
        round.losses.push_back(std::numeric_limits<double>::infinity());
        continue;
      }
      if (domains.relative() && scales.empty()) {
        scales = domains.Scales(samples, sums);
      }
      round.losses.push_back(domains.Fitness(domains.Means(
          samples,
          domains.relative() ? domains.Relative(samples, sums, scales) : sums,
          metric)));
    }
    tokens += round.samples * length;
    round.tokens = tokens;
    story.rounds.push_back(std::move(round));
  }
  if (auto strategy = StrategyOf(job, *options, table, archive);
      strategy != nullptr) {
    std::vector<StoryRound> replayed = story.rounds;
    story.replayed = Replay(*strategy, records, results, replayed);
    if (story.replayed) story.rounds = std::move(replayed);
  }
  return story;
}

}  // namespace evopress::client
