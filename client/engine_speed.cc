#include "client/engine_speed.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/outer_units.h"
#include "evopress/v1/tasks.pb.h"
#include "quant/compressor.h"
#include "quant/gram.h"
#include "quant/packed_weight.h"
#include "search/level_name.h"
#include "search/sha256.h"
#include "worker/evaluator.h"
#include "worker/level_builder.h"

namespace evopress::client {
namespace {

namespace fs = std::filesystem;

constexpr int kChoices = 2;            // assignments that are run together
constexpr double kRunSeconds = 2;      // aimed at for one run of them
constexpr int64_t kLeastTokens = 128;  // of a shortened sequence
constexpr size_t kCaptureSequences = 4;
constexpr int kCaptureShare = 4;  // one block in so many
// Levels of the first block are made for layers of this many weights in all.
constexpr int64_t kCompressedWeights = int64_t{8} << 20;

class ScratchDir {
 public:
  ScratchDir() {
    std::error_code error;
    std::string name =
        (fs::temp_directory_path(error) / "evopress-planXXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~ScratchDir() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Seconds that `work` takes; its error otherwise.
template <typename Work>
absl::StatusOr<double> Seconds(const Work& work) {
  const absl::Time begin = absl::Now();
  const absl::Status status = work();
  if (!status.ok()) return status;
  return absl::ToDoubleSeconds(absl::Now() - begin);
}

struct Layer {
  std::string name;
  quant::WeightShape shape;
};

// How the time to make levels grows with a layer. Methods with statistics
// carry the error of each column on to all later ones.
double CompressWork(const Layer& layer, size_t levels, bool statistics) {
  const double rows = static_cast<double>(layer.shape.rows);
  const double cols = static_cast<double>(layer.shape.cols);
  return rows * cols * static_cast<double>(levels) * (statistics ? cols : 1);
}

class SpeedRun {
 public:
  SpeedRun(const quant::Checkpoint& model, const search::SearchSpace& space,
           const EngineSpeedOptions& options)
      : model_(model), space_(space), options_(options) {}

  absl::StatusOr<EngineSpeed> Run(
      const std::vector<std::vector<int32_t>>& sequences) {
    const absl::Time begin = absl::Now();
    if (scratch_.path().empty()) {
      return absl::UnavailableError("cannot make a temporary directory");
    }
    ListLayers();
    if (blocks_.empty()) {
      return absl::InvalidArgumentError("no layers to measure the engine on");
    }
    if (absl::Status s = Open(); !s.ok()) return s;
    if (absl::Status s = MeasureAssignments(sequences); !s.ok()) return s;
    if (absl::Status s = MeasureLevels(); !s.ok()) return s;
    evaluator_.reset();
    struct rusage usage = {};
    if (getrusage(RUSAGE_CHILDREN, &usage) == 0) {
      speed_.peak_bytes = int64_t{usage.ru_maxrss} * 1024;
    }
    speed_.spent = absl::ToDoubleSeconds(absl::Now() - begin);
    return speed_;
  }

 private:
  void ListLayers() {
    for (const search::Unit& unit : space_.units) {
      for (const std::string& name : unit.layers) {
        const quant::TensorInfo* info = model_.Find(name + ".weight");
        if (info == nullptr || info->shape.size() != 2) continue;
        const Layer layer{name, {info->shape[0], info->shape[1]}};
        if (name == kEmbeddingLayer || name == kHeadLayer) {
          outer_.push_back(layer);
        } else {
          blocks_[BlockOfLayer(name)].push_back(layer);
        }
        levels_[name] = &unit.menu;
      }
    }
  }

  absl::Status Open() {
    worker::EvaluatorOptions options;
    options.threads = options_.threads;
    options.memory_bytes = options_.memory_bytes;
    auto seconds = Seconds([&] {
      auto opened = worker::OpenEvaluatorProcess(options_.evaluator_binary,
                                                 options_.model_path, options);
      if (!opened.ok()) return opened.status();
      evaluator_ = *std::move(opened);
      return absl::OkStatus();
    });
    if (!seconds.ok()) return seconds.status();
    speed_.open = *seconds;
    speed_.numeric_class = evaluator_->info().numeric_class;
    return absl::OkStatus();
  }

  // One assignment a blob of `layer`; of the outer layers, whose levels cost
  // time of their own, all have the same; everything else as it is.
  absl::StatusOr<std::vector<worker::WeightChoice>> ChoicesAt(
      const Layer& layer) {
    auto choices = BlobsOf(layer);
    if (!choices.ok()) return choices.status();
    for (const Layer& outer : outer_) {
      auto blobs = BlobsOf(outer);
      if (!blobs.ok()) return blobs.status();
      for (worker::WeightChoice& choice : *choices) {
        choice.blob_of_layer.insert((*blobs)[0].blob_of_layer.begin(),
                                    (*blobs)[0].blob_of_layer.end());
      }
    }
    return choices;
  }

  absl::StatusOr<std::vector<worker::WeightChoice>> BlobsOf(
      const Layer& layer) {
    std::vector<float> weight(layer.shape.rows * layer.shape.cols);
    if (absl::Status s =
            model_.ReadF32(layer.name + ".weight", absl::MakeSpan(weight));
        !s.ok()) {
      return s;
    }
    std::vector<search::LevelName> levels(kChoices);
    for (int i = 0; i < kChoices; ++i) {
      levels[i].method = "rtn";
      levels[i].bits = 8 - i;
    }
    auto compressor = quant::FindCompressor("rtn");
    if (!compressor.ok()) return compressor.status();
    auto made =
        (*compressor)
            ->Compress({layer.name, layer.shape, weight, nullptr}, levels);
    if (!made.ok()) return made.status();
    std::vector<worker::WeightChoice> choices(kChoices);
    for (int i = 0; i < kChoices; ++i) {
      const std::string path =
          absl::StrCat(scratch_.path(), "/", layer.name, ".", i);
      std::ofstream out(path, std::ios::binary);
      out << quant::SerializeBlob((*made)[i].weight);
      if (!out.flush()) {
        return absl::UnavailableError(absl::StrCat("cannot write ", path));
      }
      choices[i].blob_of_layer[layer.name] = path;
    }
    return choices;
  }

  absl::StatusOr<double> Evaluate(
      const std::vector<worker::WeightChoice>& choices,
      const std::vector<int32_t>& sequence) {
    worker::EvaluateRequest request;
    request.assignments = choices;
    request.samples = {sequence};
    return Seconds(
        [&] { return evaluator_->Evaluate(request, nullptr).status(); });
  }

  // The sequences, cut to what a run of kRunSeconds can hold.
  absl::Status Shorten(const std::vector<worker::WeightChoice>& choices,
                       const std::vector<std::vector<int32_t>>& sequences) {
    std::vector<int32_t> probe = sequences[0];
    probe.resize(std::min<size_t>(probe.size(), kLeastTokens));
    // The first run also reads the weights.
    if (auto s = Evaluate({choices[0]}, probe); !s.ok()) return s.status();
    auto seconds = Evaluate({choices[0]}, probe);
    if (!seconds.ok()) return seconds.status();
    const double rate =
        static_cast<double>(probe.size()) / std::max(*seconds, 1e-6);
    const size_t length = static_cast<size_t>(
        std::max<double>(kLeastTokens, rate * kRunSeconds / kChoices));
    for (std::vector<int32_t> sequence : sequences) {
      sequence.resize(std::min(sequence.size(), length));
      sequences_.push_back(std::move(sequence));
    }
    return absl::OkStatus();
  }

  absl::Status MeasureAssignments(
      const std::vector<std::vector<int32_t>>& sequences) {
    auto apart = ChoicesAt(blocks_.begin()->second.front());
    if (!apart.ok()) return apart.status();
    auto together = ChoicesAt(blocks_.rbegin()->second.front());
    if (!together.ok()) return together.status();
    if (absl::Status s = Shorten(*apart, sequences); !s.ok()) return s;
    // The last is new to the engine unless it is the only one.
    const std::vector<int32_t>& sequence = sequences_.back();
    auto first = Evaluate(*apart, sequence);
    if (!first.ok()) return first.status();
    auto all_blocks = Evaluate(*apart, sequence);
    if (!all_blocks.ok()) return all_blocks.status();
    if (auto s = Evaluate(*together, sequence); !s.ok()) return s.status();
    auto one_block = Evaluate(*together, sequence);
    if (!one_block.ok()) return one_block.status();

    const double tokens = static_cast<double>(sequence.size());
    const double blocks = static_cast<double>(blocks_.size());
    const double whole = *all_blocks / (kChoices * tokens);
    // The runs differ by what is shared: all blocks but the last.
    const double shared = (kChoices - 1) * tokens * (blocks - 1) / blocks;
    speed_.block =
        shared > 0 ? std::clamp((*all_blocks - *one_block) / shared, 0.0, whole)
                   : whole;
    speed_.loss = whole - speed_.block;
    speed_.reference = std::max(0.0, (*first - *all_blocks) / tokens);
    return absl::OkStatus();
  }

  absl::Status MeasureLevels() {
    auto needed = Table(AllLayers());
    if (!needed.ok()) return needed.status();
    auto statistics = worker::NeedsStatistics(*needed);
    if (!statistics.ok()) return statistics.status();
    quant::Statistics captured;
    if (*statistics) {
      auto made = MeasureCapture();
      if (!made.ok()) return made.status();
      captured = *std::move(made);
    }
    // The smallest layers of the first block.
    std::vector<Layer> layers = blocks_.begin()->second;
    std::stable_sort(
        layers.begin(), layers.end(), [](const Layer& a, const Layer& b) {
          return a.shape.rows * a.shape.cols < b.shape.rows * b.shape.cols;
        });
    int64_t weights = 0;
    size_t count = 0;
    while (count < layers.size() && weights < kCompressedWeights) {
      weights += layers[count].shape.rows * layers[count].shape.cols;
      ++count;
    }
    layers.resize(count);
    auto table = Table(layers);
    if (!table.ok()) return table.status();
    auto seconds = Seconds([&] {
      return worker::BuildLevels(
                 model_, captured, *table,
                 [](const std::string& bytes) -> absl::StatusOr<std::string> {
                   return search::Sha256Hex(bytes);
                 },
                 options_.threads, nullptr)
          .status();
    });
    if (!seconds.ok()) return seconds.status();
    const double some = Work(layers, *statistics);
    speed_.compress =
        some > 0 ? *seconds * Work(AllLayers(), *statistics) / some : 0;
    return absl::OkStatus();
  }

  // Statistics of the first blocks, timed with one sequence and with more.
  absl::StatusOr<quant::Statistics> MeasureCapture() {
    const size_t blocks = std::max<size_t>(1, blocks_.size() / kCaptureShare);
    worker::CaptureRequest request;
    auto block = blocks_.begin();
    for (size_t b = 0; b < blocks; ++b, ++block) {
      for (const Layer& layer : block->second) {
        request.layers.push_back(layer.name);
      }
    }
    request.output_path = scratch_.path() + "/statistics";
    request.samples = {sequences_[0]};
    auto one = Seconds([&] { return evaluator_->Capture(request, nullptr); });
    if (!one.ok()) return one.status();
    while (request.samples.size() < kCaptureSequences) {
      request.samples.push_back(
          sequences_[request.samples.size() % sequences_.size()]);
    }
    auto many = Seconds([&] { return evaluator_->Capture(request, nullptr); });
    if (!many.ok()) return many.status();
    const double scale =
        static_cast<double>(blocks_.size()) / static_cast<double>(blocks);
    const double each = std::max(
        0.0, (*many - *one) / static_cast<double>(kCaptureSequences - 1));
    speed_.capture_token =
        scale * each / static_cast<double>(sequences_[0].size());
    speed_.capture_fixed = scale * std::max(0.0, *one - each);
    std::error_code error;
    const auto bytes = fs::file_size(request.output_path, error);
    if (!error) {
      speed_.statistics_bytes =
          static_cast<int64_t>(scale * static_cast<double>(bytes));
    }
    return quant::ReadStatistics(request.output_path);
  }

  std::vector<Layer> AllLayers() const {
    std::vector<Layer> all = outer_;
    for (const auto& [block, layers] : blocks_) {
      all.insert(all.end(), layers.begin(), layers.end());
    }
    return all;
  }

  double Work(const std::vector<Layer>& layers, bool statistics) const {
    double work = 0;
    for (const Layer& layer : layers) {
      work += CompressWork(layer, levels_.at(layer.name)->size(), statistics);
    }
    return work;
  }

  // Every layer a unit of its own, with all levels that are made.
  absl::StatusOr<v1::LevelTable> Table(const std::vector<Layer>& layers) const {
    v1::LevelTable table;
    for (const Layer& layer : layers) {
      v1::LevelTable::Unit& unit = *table.add_units();
      unit.set_name(layer.name);
      unit.add_layers(layer.name);
      for (const search::LevelChoice& level : *levels_.at(layer.name)) {
        if (level.name == "keep" || level.name == "drop") continue;
        unit.add_levels()->set_name(level.name);
      }
    }
    return table;
  }

  const quant::Checkpoint& model_;
  const search::SearchSpace& space_;
  const EngineSpeedOptions options_;
  const ScratchDir scratch_;
  std::map<int, std::vector<Layer>> blocks_;
  std::vector<Layer> outer_;  // embedding and head, if they are searched
  std::map<std::string, const std::vector<search::LevelChoice>*> levels_;
  std::unique_ptr<worker::Evaluator> evaluator_;
  std::vector<std::vector<int32_t>> sequences_;
  EngineSpeed speed_;
};

}  // namespace

int BlockOfLayer(const std::string& layer) {
  constexpr char kMarker[] = "layers.";
  const size_t at = layer.find(kMarker);
  if (at == std::string::npos) return -1;
  const size_t begin = at + sizeof(kMarker) - 1;
  int block = -1;
  if (!absl::SimpleAtoi(layer.substr(begin, layer.find('.', begin) - begin),
                        &block)) {
    return -1;
  }
  return block;
}

absl::StatusOr<EngineSpeed> MeasureEngineSpeed(
    const quant::Checkpoint& model, const search::SearchSpace& space,
    const std::vector<std::vector<int32_t>>& sequences,
    const EngineSpeedOptions& options) {
  return SpeedRun(model, space, options).Run(sequences);
}

}  // namespace evopress::client
