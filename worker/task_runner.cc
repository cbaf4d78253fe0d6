#include "worker/task_runner.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/conversions.h"
#include "quant/checkpoint.h"
#include "quant/gram.h"
#include "worker/layer_outliers.h"
#include "worker/level_builder.h"
#include "worker/token_set.h"

namespace evopress::worker {
namespace {

constexpr uint16_t kKeepLevel = 0xFFFF;
constexpr double kCaptureShare = 0.6;  // of a build's progress
constexpr double kProfileShare = 0.9;  // the rest reads weights

// A share of a larger progress: [from, to).
Progress Within(const Progress& progress, double from, double to) {
  return [&progress, from, to](double done) {
    return !progress || progress(from + (to - from) * done);
  };
}

// An evaluator that died is a fault of the task (Internal), not of the network
// (Unavailable).
absl::Status FromEvaluator(const absl::Status& status) {
  return absl::IsUnavailable(status) ? absl::InternalError(status.message())
                                     : status;
}

// Removes a scratch file when it goes out of scope.
class ScratchFile {
 public:
  explicit ScratchFile(std::string path) : path_(std::move(path)) {}
  ~ScratchFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

}  // namespace

TaskRunner::TaskRunner(const WorkerOptions& options, ArtifactCache& cache)
    : options_(options), cache_(cache) {}

absl::StatusOr<v1::TaskResult> TaskRunner::Run(const v1::Task& task,
                                               const Progress& progress) {
  v1::TaskResult result;
  switch (task.work_case()) {
    case v1::Task::kBuild: {
      absl::StatusOr<v1::BuildResult> built = Build(task.build(), progress);
      if (!built.ok()) return built.status();
      *result.mutable_build() = *std::move(built);
      return result;
    }
    case v1::Task::kEvaluate: {
      absl::StatusOr<v1::EvaluateResult> measured =
          Evaluate(task.evaluate(), progress);
      if (!measured.ok()) return measured.status();
      *result.mutable_evaluate() = *std::move(measured);
      return result;
    }
    case v1::Task::WORK_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "task ", task.id(), " is of a kind that this worker does not know"));
}

absl::Status TaskRunner::OpenModel(const v1::ModelRef& model) {
  if (evaluator_ != nullptr && model_hash_ == model.hash()) {
    return absl::OkStatus();
  }
  evaluator_.reset();
  absl::StatusOr<std::string> path = cache_.FetchModel(model);
  if (!path.ok()) return path.status();
  absl::StatusOr<std::unique_ptr<Evaluator>> opened = OpenEvaluatorProcess(
      options_.evaluator_binary, *path, options_.evaluator);
  if (!opened.ok()) return FromEvaluator(opened.status());
  evaluator_ = *std::move(opened);
  model_hash_ = model.hash();
  model_path_ = *path;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::vector<int32_t>>> TaskRunner::Samples(
    const v1::TokenSetRef& set, const std::vector<int32_t>& sequences) {
  absl::StatusOr<std::string> bytes = cache_.Read(set.sha256());
  if (!bytes.ok()) return bytes.status();
  absl::StatusOr<TokenSet> tokens = TokenSet::Parse(*bytes);
  if (!tokens.ok()) return tokens.status();
  std::vector<std::vector<int32_t>> samples;
  samples.reserve(sequences.size());
  for (const int32_t index : sequences) {
    if (index < 0 || index >= tokens->num_sequences()) {
      return absl::InvalidArgumentError(
          absl::StrCat("sequence ", index, " is outside the token set of ",
                       tokens->num_sequences(), " sequences"));
    }
    const auto row = tokens->sequence(index);
    samples.emplace_back(row.begin(), row.end());
  }
  return samples;
}

absl::StatusOr<std::vector<std::vector<int32_t>>> TaskRunner::AllSamples(
    const v1::TokenSetRef& set) {
  std::vector<int32_t> all(set.sequences());
  std::iota(all.begin(), all.end(), 0);
  return Samples(set, all);
}

absl::StatusOr<v1::BuildResult> TaskRunner::Profile(const v1::BuildTask& task,
                                                    const Progress& progress) {
  if (absl::Status s = OpenModel(task.model()); !s.ok()) return s;
  absl::StatusOr<std::vector<std::vector<int32_t>>> samples =
      AllSamples(task.statistics());
  if (!samples.ok()) return samples.status();
  absl::StatusOr<ModelProfile> profile =
      evaluator_->Profile(*samples, Within(progress, 0, kProfileShare));
  if (!profile.ok()) return FromEvaluator(profile.status());
  absl::StatusOr<std::unique_ptr<quant::Checkpoint>> model =
      quant::Checkpoint::Open(model_path_);
  if (!model.ok()) return model.status();
  v1::BuildResult result;
  const auto tokens =
      static_cast<double>(std::max<int64_t>(1, profile->tokens));
  const auto mean = [tokens](const Flow& flow, v1::ModelProfile::Flow& out) {
    out.set_cosine(flow.cosine / tokens);
    out.set_angle(flow.angle / tokens);
    out.set_magnitude(flow.magnitude / tokens);
  };
  for (const BlockProfile& block : profile->blocks) {
    v1::ModelProfile::Block& out = *result.mutable_profile()->add_blocks();
    for (const BlockProfile::Layer& layer : block.layers) {
      out.add_layers(layer.name);
    }
    absl::StatusOr<double> outliers = OutlierShare(**model, block);
    if (!outliers.ok()) return outliers.status();
    out.set_outlier_share(*outliers);
    for (const BlockProfile::Module& module : block.modules) {
      v1::ModelProfile::Module& named = *out.add_modules();
      named.set_name(module.name);
      mean(module.flow, *named.mutable_flow());
    }
    for (const Flow& flow : block.windows) mean(flow, *out.add_windows());
  }
  return result;
}

absl::StatusOr<v1::BuildResult> TaskRunner::Build(const v1::BuildTask& task,
                                                  const Progress& progress) {
  if (task.step() == "profile") return Profile(task, progress);
  if (task.step() != "levels") {
    return absl::InvalidArgumentError(absl::StrCat(
        "build step \"", task.step(),
        "\" is unknown; this worker knows \"levels\" and \"profile\""));
  }
  absl::StatusOr<bool> needs_statistics = NeedsStatistics(task.units());
  if (!needs_statistics.ok()) return needs_statistics.status();
  quant::Statistics statistics;
  if (absl::Status s = OpenModel(task.model()); !s.ok()) return s;
  double captured = 0;
  if (*needs_statistics) {
    captured = kCaptureShare;
    CaptureRequest request;
    absl::StatusOr<std::vector<std::vector<int32_t>>> samples =
        AllSamples(task.statistics());
    if (!samples.ok()) return samples.status();
    request.samples = *std::move(samples);
    for (const v1::LevelTable::Unit& unit : task.units().units()) {
      request.layers.insert(request.layers.end(), unit.layers().begin(),
                            unit.layers().end());
    }
    const ScratchFile file(cache_.ScratchPath("statistics"));
    request.output_path = file.path();
    if (absl::Status s =
            evaluator_->Capture(request, Within(progress, 0, captured));
        !s.ok()) {
      return FromEvaluator(s);
    }
    absl::StatusOr<quant::Statistics> read = quant::ReadStatistics(file.path());
    if (!read.ok()) return read.status();
    statistics = *std::move(read);
  }
  absl::StatusOr<std::unique_ptr<quant::Checkpoint>> model =
      quant::Checkpoint::Open(model_path_);
  if (!model.ok()) return model.status();
  absl::StatusOr<v1::LevelTable> table = BuildLevels(
      **model, statistics, task.units(),
      [this](const std::string& bytes) { return cache_.Put(bytes); },
      options_.evaluator.threads, Within(progress, captured, 1));
  if (!table.ok()) return table.status();
  v1::BuildResult result;
  *result.mutable_units() = *std::move(table);
  return result;
}

absl::StatusOr<WeightChoice> TaskRunner::Choice(const v1::LevelTable& table,
                                                const std::string& levels) {
  absl::StatusOr<search::Assignment> assignment = proto::UnpackLevels(levels);
  if (!assignment.ok()) return assignment.status();
  if (static_cast<int>(assignment->levels.size()) != table.units_size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "an assignment has ", assignment->levels.size(),
        " levels, but the level table has ", table.units_size(), " units"));
  }
  WeightChoice choice;
  std::map<std::string, std::string> blobs;  // layer -> SHA-256
  for (int u = 0; u < table.units_size(); ++u) {
    const uint16_t index = assignment->levels[u];
    if (index == kKeepLevel) continue;
    const v1::LevelTable::Unit& unit = table.units(u);
    if (index >= unit.levels_size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("level ", index, " of unit ", unit.name(),
                       " is outside its menu of ", unit.levels_size()));
    }
    const v1::LevelTable::Level& level = unit.levels(index);
    if (level.blobs_size() != unit.layers_size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "level ", level.name(), " of unit ", unit.name(), " has ",
          level.blobs_size(), " blobs for ", unit.layers_size(), " layers"));
    }
    for (int l = 0; l < unit.layers_size(); ++l) {
      const std::string& sha256 = level.blobs(l).sha256();
      if (level.name() == search::kDrop) {
        choice.dropped.insert(unit.layers(l));
      } else if (!sha256.empty()) {
        blobs[unit.layers(l)] = sha256;
      }
    }
  }
  for (const auto& [layer, sha256] : blobs) {
    const bool dropped =
        std::any_of(choice.dropped.begin(), choice.dropped.end(),
                    [&](const std::string& module) {
                      return search::LiesIn(layer, module);
                    });
    if (dropped) continue;
    absl::StatusOr<std::string> path = cache_.Fetch(sha256);
    if (!path.ok()) return path.status();
    choice.blob_of_layer[layer] = *path;
  }
  return choice;
}

absl::StatusOr<v1::EvaluateResult> TaskRunner::Evaluate(
    const v1::EvaluateTask& task, const Progress& progress) {
  if (absl::Status s = OpenModel(task.model()); !s.ok()) return s;
  if (table_sha256_ != task.level_table_sha256()) {
    absl::StatusOr<std::string> bytes = cache_.Read(task.level_table_sha256());
    if (!bytes.ok()) return bytes.status();
    v1::LevelTable table;
    if (!table.ParseFromString(*bytes)) {
      return absl::DataLossError(absl::StrCat(
          "artifact ", task.level_table_sha256(), " is not a level table"));
    }
    table_ = std::move(table);
    table_sha256_ = task.level_table_sha256();
  }
  EvaluateRequest request;
  for (const std::string& levels : task.assignments()) {
    absl::StatusOr<WeightChoice> choice = Choice(table_, levels);
    if (!choice.ok()) return choice.status();
    request.assignments.push_back(*std::move(choice));
  }
  absl::StatusOr<std::vector<std::vector<int32_t>>> samples =
      Samples(task.data(), {task.sequences().begin(), task.sequences().end()});
  if (!samples.ok()) return samples.status();
  request.samples = *std::move(samples);
  absl::StatusOr<EvaluateResponse> response =
      evaluator_->Evaluate(request, Within(progress, 0, 1));
  if (!response.ok()) return FromEvaluator(response.status());
  v1::EvaluateResult result;
  for (const auto& row : response->results) {
    for (const search::SampleSums& sums : row) {
      *result.add_sums() = proto::ToProto(sums);
    }
  }
  return result;
}

}  // namespace evopress::worker
