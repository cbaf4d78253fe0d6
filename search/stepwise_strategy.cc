#include "search/stepwise_strategy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "search/digest.h"
#include "search/measured.h"
#include "search/rng.h"
#include "search/start_point.h"

namespace evopress::search {
namespace {

using nlohmann::json;

constexpr char kFormat[] = "evopress.snapshot.1";
// No candidate ever has this slot.
constexpr uint32_t kSampleSlot = 0xFFFFFFFF;
// Of each domain, to learn its scale.
constexpr int32_t kScaleSamples = 8;

std::vector<int32_t> CountsOfScales(const SampleDomains& domains) {
  std::vector<int32_t> counts;
  for (size_t d = 0; d < domains.size(); ++d) {
    counts.push_back(std::min(kScaleSamples, domains[d].samples));
  }
  return counts;
}

json ToJson(const std::vector<SampleSums>& scales) {
  json saved = json::array();
  for (const SampleSums& scale : scales) {
    saved.push_back({Bits(scale.kl), Bits(scale.topk_kl), Bits(scale.nll)});
  }
  return saved;
}

std::vector<SampleSums> ScalesFromJson(const json& saved) {
  std::vector<SampleSums> scales;
  for (const json& scale : saved) {
    scales.push_back({FromBits(scale.at(0).get<uint64_t>()),
                      FromBits(scale.at(1).get<uint64_t>()),
                      FromBits(scale.at(2).get<uint64_t>()), 1});
  }
  return scales;
}

json ToJson(const Step& step) {
  if (const Done* done = std::get_if<Done>(&step)) {
    return {{"winner", done->winner.levels}, {"fitness", Bits(done->fitness)}};
  }
  const Round& round = std::get<Round>(step);
  json evaluations = json::array();
  for (const Evaluation& evaluation : round.evaluations) {
    evaluations.push_back({{"levels", evaluation.assignment.levels},
                           {"samples", evaluation.samples}});
  }
  return {{"index", round.index},
          {"purpose", round.purpose},
          {"progress", Bits(round.progress)},
          {"evaluations", std::move(evaluations)}};
}

absl::StatusOr<Assignment> AssignmentFromJson(const SearchSpace& space,
                                              const json& levels) {
  Assignment assignment{levels.get<std::vector<uint16_t>>()};
  const absl::Status valid = Validate(space, assignment);
  if (!valid.ok()) return absl::DataLossError(valid.ToString());
  return assignment;
}

absl::StatusOr<Step> StepFromJson(const SearchSpace& space, const json& step) {
  if (step.contains("winner")) {
    auto winner = AssignmentFromJson(space, step.at("winner"));
    if (!winner.ok()) return winner.status();
    return Done{*std::move(winner),
                FromBits(step.at("fitness").get<uint64_t>())};
  }
  Round round;
  round.index = step.at("index").get<int64_t>();
  round.purpose = step.at("purpose").get<std::string>();
  round.progress = FromBits(step.at("progress").get<uint64_t>());
  for (const json& entry : step.at("evaluations")) {
    auto assignment = AssignmentFromJson(space, entry.at("levels"));
    if (!assignment.ok()) return assignment.status();
    round.evaluations.push_back(
        {*std::move(assignment),
         entry.at("samples").get<std::vector<int32_t>>()});
  }
  return round;
}

absl::Status Fits(const Round& round, const RoundResults& results) {
  if (results.size() != round.evaluations.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("got results of ", results.size(), " evaluations; round ",
                     round.index, " has ", round.evaluations.size()));
  }
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].size() != round.evaluations[i].samples.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("got ", results[i].size(), " samples for evaluation ", i,
                       " of round ", round.index, "; it has ",
                       round.evaluations[i].samples.size()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

StepwiseStrategy::StepwiseStrategy(StrategyInput input,
                                   StrategyIdentity identity)
    : input_(std::move(input)),
      domains_(input_),
      identity_(std::move(identity)) {}

absl::StatusOr<Step> StepwiseStrategy::Start() {
  if (pending_.has_value()) {
    return absl::FailedPreconditionError("the search has already started");
  }
  if (NeedsBudgets()) {
    const absl::Status reachable = CheckBudgetsReachable(space());
    if (!reachable.ok()) return reachable;
  }
  absl::StatusOr<Step> step = FirstRound();
  if (step.ok()) pending_ = *step;
  return step;
}

absl::StatusOr<Step> StepwiseStrategy::FirstRound() {
  if (!NeedsScales()) return First();
  auto start = StartCandidates(space(), /*count=*/1, input_.seed);
  if (!start.ok()) return start.status();
  Rng rng(input_.seed, static_cast<uint64_t>(rounds_), kSampleSlot);
  return NewRound("scale of each domain", *std::move(start),
                  domains_.Draw(CountsOfScales(domains_), rng));
}

absl::StatusOr<Step> StepwiseStrategy::TakeRound(const Round& round,
                                                 const RoundResults& results) {
  if (NeedsScales()) {
    scales_ = domains_.Scales(round.evaluations[0].samples, results[0]);
    return First();
  }
  RoundResults scaled;
  if (relative()) {
    for (size_t i = 0; i < results.size(); ++i) {
      scaled.push_back(
          domains_.Relative(round.evaluations[i].samples, results[i], scales_));
    }
  }
  results_ = relative() ? &scaled : &results;
  std::vector<double> fitness;
  for (size_t i = 0; i < results.size(); ++i) {
    fitness.push_back(domains_.Fitness(domains_.Means(
        round.evaluations[i].samples, (*results_)[i], identity_.fitness)));
  }
  absl::StatusOr<Step> step = Next(round, fitness);
  if (step.ok()) TakeStanding(round, results, *results_);
  results_ = nullptr;
  return step;
}

void StepwiseStrategy::TakeStanding(const Round& round,
                                    const RoundResults& plain,
                                    const RoundResults& results) {
  if (!incumbent_.has_value()) return;
  const Assignment incumbent = Canonical(space(), incumbent_->assignment);
  const auto at =
      std::find_if(round.evaluations.begin(), round.evaluations.end(),
                   [&](const Evaluation& evaluation) {
                     return evaluation.assignment == incumbent;
                   });
  if (standing_.has_value() && standing_->assignment != incumbent) {
    standing_.reset();
  }
  if (at == round.evaluations.end()) return;
  Standing standing{
      incumbent, static_cast<int32_t>(at->samples.size()), {}, std::nullopt};
  if (standing_.has_value() && standing_->samples > standing.samples) return;
  const size_t i = static_cast<size_t>(at - round.evaluations.begin());
  for (const auto& mean :
       domains_.Means(at->samples, plain[i], identity_.fitness)) {
    standing.domains.push_back(
        mean.value_or(std::numeric_limits<double>::infinity()));
  }
  Measured measured(domains_);
  measured.Add(round, results, identity_.fitness);
  for (const Evaluation& other : round.evaluations) {
    if (other.assignment == incumbent) continue;
    const PairedDifference lead =
        measured.Contest(incumbent, other.assignment, at->samples);
    // The runner-up is the one that the incumbent leads by least.
    if (lead.samples >= 2 && std::isfinite(lead.mean) &&
        (!standing.lead.has_value() || lead.mean > standing.lead->mean)) {
      standing.lead = lead;
    }
  }
  standing_ = std::move(standing);
}

absl::StatusOr<Step> StepwiseStrategy::Tell(const RoundResults& results) {
  if (!pending_.has_value() || !std::holds_alternative<Round>(*pending_)) {
    return absl::FailedPreconditionError(
        "no round is pending: the search has ended or not yet started");
  }
  const Round round = std::get<Round>(*pending_);
  const absl::Status fits = Fits(round, results);
  if (!fits.ok()) return fits;
  measured_samples_ += std::exchange(pending_samples_, 0);
  absl::StatusOr<Step> step = TakeRound(round, results);
  if (step.ok()) pending_ = *step;
  return step;
}

Archive StepwiseStrategy::archive() const {
  Archive known = input_.archive;
  if (!relative()) return known;
  for (auto& [assignment, row] : known) {
    for (auto& [sample, sums] : row) {
      sums = domains_.Relative({sample}, {sums}, scales_)[0];
    }
  }
  return known;
}

std::optional<Standing> StepwiseStrategy::standing(
    const Assignment& incumbent) const {
  if (!standing_.has_value() ||
      standing_->assignment != Canonical(space(), incumbent)) {
    return std::nullopt;
  }
  return standing_;
}

std::vector<Incumbent> StepwiseStrategy::incumbents() const {
  if (!incumbent_.has_value()) return {};
  return {*incumbent_};
}

std::string StepwiseStrategy::Snapshot() const {
  json body = {{"format", kFormat},
               {"strategy", identity_.name},
               {"job", identity_.hash},
               {"rounds", rounds_},
               {"measured_samples", measured_samples_},
               {"pending_samples", pending_samples_},
               {"state", SaveState()}};
  if (pending_.has_value()) body["step"] = ToJson(*pending_);
  if (!scales_.empty()) body["scales"] = ToJson(scales_);
  if (incumbent_.has_value()) body["incumbent"] = Save(*incumbent_);
  if (standing_.has_value()) body["standing"] = Save(*standing_);
  body["digest"] = Sha256Hex(body.dump());
  return body.dump();
}

absl::StatusOr<Step> StepwiseStrategy::Restore(const std::string& snapshot) {
  if (pending_.has_value()) {
    return absl::FailedPreconditionError(
        "restore into a freshly made strategy only");
  }
  try {
    json body = json::parse(snapshot);
    const std::string digest = body.at("digest").get<std::string>();
    body.erase("digest");
    if (Sha256Hex(body.dump()) != digest) {
      return absl::DataLossError("snapshot damaged: its digest does not match");
    }
    if (body.at("format") != kFormat) {
      return absl::DataLossError("snapshot has an unknown format");
    }
    if (body.at("strategy") != identity_.name ||
        body.at("job") != identity_.hash) {
      return absl::DataLossError(absl::StrCat(
          "snapshot belongs to another job, not to this \"", identity_.name,
          "\" search (space, options, seed or data differ)"));
    }
    if (!body.contains("step")) {
      return absl::DataLossError("snapshot was taken before Start()");
    }
    absl::StatusOr<Step> step = StepFromJson(space(), body.at("step"));
    if (!step.ok()) return step;
    std::optional<Incumbent> incumbent;
    if (body.contains("incumbent")) {
      auto saved = LoadIncumbent(body.at("incumbent"));
      if (!saved.ok()) return saved.status();
      incumbent = *std::move(saved);
    }
    std::optional<Standing> standing;
    if (body.contains("standing")) {
      auto saved = LoadStanding(body.at("standing"));
      if (!saved.ok()) return saved.status();
      standing = *std::move(saved);
    }
    if (body.contains("scales")) {
      scales_ = ScalesFromJson(body.at("scales"));
      if (scales_.size() != domains_.size()) {
        return absl::DataLossError(
            absl::StrCat("snapshot holds scales of ", scales_.size(),
                         " domains; the job has ", domains_.size()));
      }
    }
    // Before the scales are known the strategy itself has no state.
    if (!NeedsScales()) {
      const absl::Status loaded = LoadState(body.at("state"));
      if (!loaded.ok()) return loaded;
    }
    rounds_ = body.at("rounds").get<int64_t>();
    measured_samples_ = body.at("measured_samples").get<int64_t>();
    pending_samples_ = body.at("pending_samples").get<int64_t>();
    incumbent_ = std::move(incumbent);
    standing_ = std::move(standing);
    pending_ = *step;
    return step;
  } catch (const json::exception& error) {
    return absl::DataLossError(
        absl::StrCat("snapshot damaged: ", error.what()));
  }
}

json StepwiseStrategy::Save(const Incumbent& incumbent) {
  json saved = {{"levels", incumbent.assignment.levels},
                {"anchor", incumbent.anchor}};
  if (incumbent.fitness.has_value()) {
    saved["fitness"] = Bits(*incumbent.fitness);
  }
  return saved;
}

absl::StatusOr<Incumbent> StepwiseStrategy::LoadIncumbent(
    const json& saved) const {
  auto assignment = AssignmentFromJson(space(), saved.at("levels"));
  if (!assignment.ok()) return assignment.status();
  Incumbent incumbent{*std::move(assignment), std::nullopt,
                      saved.at("anchor").get<std::string>()};
  if (saved.contains("fitness")) {
    incumbent.fitness = FromBits(saved.at("fitness").get<uint64_t>());
  }
  return incumbent;
}

json StepwiseStrategy::Save(const Standing& standing) {
  json saved = {{"levels", standing.assignment.levels},
                {"samples", standing.samples},
                {"domains", json::array()}};
  for (double mean : standing.domains) saved["domains"].push_back(Bits(mean));
  if (standing.lead.has_value()) {
    saved["lead"] = {Bits(standing.lead->mean), Bits(standing.lead->variance),
                     standing.lead->samples};
  }
  return saved;
}

absl::StatusOr<Standing> StepwiseStrategy::LoadStanding(
    const json& saved) const {
  auto assignment = AssignmentFromJson(space(), saved.at("levels"));
  if (!assignment.ok()) return assignment.status();
  Standing standing{*std::move(assignment),
                    saved.at("samples").get<int32_t>(),
                    {},
                    std::nullopt};
  for (const json& mean : saved.at("domains")) {
    standing.domains.push_back(FromBits(mean.get<uint64_t>()));
  }
  if (saved.contains("lead")) {
    const json& lead = saved.at("lead");
    standing.lead = {FromBits(lead.at(0).get<uint64_t>()),
                     FromBits(lead.at(1).get<uint64_t>()),
                     lead.at(2).get<int>()};
  }
  return standing;
}

Round StepwiseStrategy::NewRound(std::string purpose,
                                 std::vector<Assignment> assignments,
                                 const std::vector<int32_t>& samples) {
  std::vector<Evaluation> evaluations;
  evaluations.reserve(assignments.size());
  for (Assignment& assignment : assignments) {
    evaluations.push_back({std::move(assignment), samples});
  }
  return NewRound(std::move(purpose), std::move(evaluations));
}

Round StepwiseStrategy::NewRound(std::string purpose,
                                 std::vector<Evaluation> evaluations) {
  Round round;
  round.index = rounds_++;
  round.purpose = std::move(purpose);
  if (identity_.planned_samples > 0) {
    round.progress =
        std::min(1.0, static_cast<double>(measured_samples_) /
                          static_cast<double>(identity_.planned_samples));
  }
  for (Evaluation& evaluation : evaluations) {
    evaluation.assignment =
        Canonical(space(), std::move(evaluation.assignment));
  }
  round.evaluations = std::move(evaluations);
  pending_samples_ = CountSamples(round);
  return round;
}

std::vector<int32_t> StepwiseStrategy::DrawSamples(int32_t count) const {
  Rng rng(input_.seed, static_cast<uint64_t>(rounds_), kSampleSlot);
  return domains_.Draw(domains_.Shares(count), rng);
}

Step StepwiseStrategy::Finish(Assignment winner, double fitness,
                              const std::string& anchor) {
  winner = Canonical(space(), std::move(winner));
  incumbent_ = Incumbent{winner, fitness, anchor};
  return Done{std::move(winner), fitness};
}

Step StepwiseStrategy::FinishWithBest(const Round& round,
                                      const std::vector<double>& fitness) {
  const size_t best = Ranking(fitness).front();
  return Finish(round.evaluations[best].assignment, fitness[best]);
}

json StepwiseStrategy::SaveState() const { return {}; }

absl::Status StepwiseStrategy::LoadState(const json&) {
  return absl::OkStatus();
}

absl::Status CheckSampleCount(const std::string& option, int32_t samples,
                              const StrategyInput& input) {
  if (samples < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(option, "=", samples, " must be at least 1"));
  }
  if (samples > input.num_samples) {
    return absl::InvalidArgumentError(
        absl::StrCat(option, "=", samples, " exceeds the ", input.num_samples,
                     " calibration samples; lower it or calibrate on more"));
  }
  return SampleDomains(input).CheckSets(option, {samples});
}

int64_t SamplesOfScales(const StrategyInput& input) {
  const SampleDomains domains(input);
  if (!domains.relative()) return 0;
  const std::vector<int32_t> counts = CountsOfScales(domains);
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

std::vector<size_t> Ranking(const std::vector<double>& fitness) {
  const auto value = [&](size_t i) {
    return std::isfinite(fitness[i]) ? fitness[i]
                                     : std::numeric_limits<double>::infinity();
  };
  std::vector<size_t> order(fitness.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return value(a) < value(b); });
  return order;
}

std::vector<size_t> Survivors(const std::vector<double>& fitness,
                              size_t count) {
  std::vector<size_t> order = Ranking(fitness);
  order.resize(std::min(order.size(), count));
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace evopress::search
