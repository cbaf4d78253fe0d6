// Times what the cpu engine does for a search, on a real model.
//
//   engine_bench MODEL SAMPLES TOKENS [--threads N] [--memory BYTES]
//
// Makes round-to-nearest levels of 2 to 6 bits, prints "ready", then runs one
// scenario for every line on standard input and answers with a line of JSON
// {"seconds", "tokens", "prepare_seconds", "prepared_bytes", "peak_bytes"}, so
// that scripts can alternate it with other engines. Tokens are those a
// compressed model saw; prepare_seconds are of all threads together, divided by
// their number; prepared_bytes is the cache of prepared weights.
// Scenarios:
//   single          one assignment
//   cold            one assignment, unpacking its levels first
//   generation      32 offspring of one parent (1-3 switches), one task
//   cold-generation the same, unpacking levels first
//   one-by-one      the same 32, one task each
//   probes I        one-layer changes of layers I, I+5, I+10 …, one task
//   batch N         N assignments that share nothing, one task
//   nll N           the same with the NLL alone
//   part F          generation, given up once the share F is done
//   hash N [reverse]  answers {"hashes"} with a digest of the results of each
//                   of the first N offspring, evaluated in one task
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "quant/checkpoint.h"
#include "quant/compressor.h"
#include "quant/packed_weight.h"
#include "search/digest.h"
#include "search/level_name.h"
#include "search/rng.h"
#include "worker/evaluation.h"
#include "worker/model.h"
#include "worker/thread_arena.h"

namespace evopress {
namespace {

constexpr int kLeastBits = 2;
constexpr int kMostBits = 6;
constexpr int kOffspring = 32;
constexpr int kProbeStride = 5;

// The most memory this program ever had. Not getrusage's: that one starts with
// the memory of the process that started it.
int64_t PeakBytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    int64_t kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib * 1024;
  }
  return 0;
}

// Levels of all layers as blob files, and assignments made of them.
class Bench {
 public:
  Bench(const std::string& path, const std::string& directory)
      : path_(path), directory_(directory) {}

  absl::Status Prepare(int samples, int tokens,
                       const worker::EvaluatorOptions& options) {
    options_ = options;
    arena_ = std::make_unique<worker::ThreadArena>(options.threads);
    auto model = worker::LoadModel(path_, worker::DetectArithmetic(), *arena_);
    if (!model.ok()) return model.status();
    model_ = std::make_unique<worker::Model>(*std::move(model));
    for (const auto& block : model_->architecture.blocks) {
      for (const auto& linear : block.linears) layers_.push_back(linear);
    }
    absl::Status made = arena_->ForEach(
        layers_.size(), [&](int64_t l) { return MakeLevels(layers_[l]); });
    if (!made.ok()) return made;
    for (int s = 0; s < samples; ++s) {
      std::vector<int32_t> sample(tokens);
      for (int t = 0; t < tokens; ++t) {
        sample[t] = (t * 7919 + s * 104729) % model_->architecture.vocab;
      }
      samples_.push_back(std::move(sample));
    }
    return Restart();
  }

  // Forgets unpacked weights, keeps what the reference makes of the samples.
  absl::Status Restart() {
    engine_ = std::make_unique<worker::Engine>(*model_, *arena_, options_);
    return Run({worker::WeightChoice()}).status();
  }

  absl::StatusOr<worker::EvaluateResponse> Run(
      const std::vector<worker::WeightChoice>& assignments,
      const worker::Progress& progress = nullptr) {
    worker::EvaluateRequest request{assignments, samples_};
    return engine_->Evaluate(request, progress);
  }

  absl::Status Scenario(const std::string& line) {
    std::istringstream in(line);
    std::string name;
    in >> name;
    std::vector<std::vector<worker::WeightChoice>> tasks;
    double share = 0;
    if (name == "single" || name == "cold") {
      tasks = {{Choice(Parent())}};
    } else if (name == "generation" || name == "cold-generation") {
      tasks = {Offspring(kOffspring)};
    } else if (name == "hash") {
      int count = 0;
      std::string order;
      in >> count >> order;
      return Hash(Offspring(count), order == "reverse");
    } else if (name == "one-by-one") {
      for (const auto& child : Offspring(kOffspring)) tasks.push_back({child});
    } else if (name == "probes") {
      size_t first = 0;
      in >> first;
      tasks = {Probes(first)};
    } else if (name == "batch" || name == "nll") {
      int count = 0;
      in >> count;
      tasks = {Strangers(count)};
    } else if (name == "part") {
      in >> share;
      tasks = {Offspring(kOffspring)};
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown scenario \"", line, "\""));
    }
    if (name.starts_with("cold")) {
      if (absl::Status s = Restart(); !s.ok()) return s;
    }
    engine_->set_nll_alone(name == "nll");
    return Measure(tasks, share);
  }

 private:
  using Bits = std::vector<int>;

  std::string BlobPath(const worker::LinearSpec& layer, int bits) const {
    return absl::StrCat(directory_, "/", layer.name, ".", bits);
  }

  absl::Status MakeLevels(const worker::LinearSpec& layer) const {
    std::vector<float> values(layer.rows * layer.cols);
    absl::Status status = model_->checkpoint->ReadF32(
        layer.name + ".weight",
        absl::Span<float>(values.data(), values.size()));
    if (!status.ok()) return status;
    const auto compressor = quant::FindCompressor("rtn");
    if (!compressor.ok()) return compressor.status();
    quant::LayerContext context;
    context.name = layer.name;
    context.shape = {layer.rows, layer.cols};
    context.weight = values;
    for (int bits = kLeastBits; bits <= kMostBits; ++bits) {
      const auto level =
          search::ParseLevel(absl::StrCat("rtn:b", bits, ":g64:asym"));
      if (!level.ok()) return level.status();
      const auto compressed = (*compressor)->Compress(context, {*level});
      if (!compressed.ok()) return compressed.status();
      std::ofstream(BlobPath(layer, bits), std::ios::binary)
          << quant::SerializeBlob(compressed->front().weight);
    }
    return absl::OkStatus();
  }

  worker::WeightChoice Choice(const Bits& bits) const {
    worker::WeightChoice choice;
    for (size_t l = 0; l < layers_.size(); ++l) {
      choice.blob_of_layer[layers_[l].name] = BlobPath(layers_[l], bits[l]);
    }
    return choice;
  }

  // 3 bits on average, as a search has it after some rounds.
  Bits Parent() const {
    Bits bits(layers_.size(), 3);
    search::Rng rng(1);
    for (size_t i = 0; i < layers_.size() / 4; ++i) Switch(rng, bits);
    return bits;
  }

  // A bit from one layer to another.
  void Switch(search::Rng& rng, Bits& bits) const {
    for (;;) {
      int& up = bits[rng.Below(bits.size())];
      int& down = bits[rng.Below(bits.size())];
      if (&up == &down || up == kMostBits || down == kLeastBits) continue;
      ++up;
      --down;
      return;
    }
  }

  std::vector<worker::WeightChoice> Offspring(int count) const {
    std::vector<worker::WeightChoice> children;
    search::Rng rng(2);
    for (int i = 0; i < count; ++i) {
      Bits bits = Parent();
      const int64_t switches = std::min(rng.Between(1, 3), rng.Between(1, 3));
      for (int64_t s = 0; s < switches; ++s) Switch(rng, bits);
      children.push_back(Choice(bits));
    }
    return children;
  }

  std::vector<worker::WeightChoice> Probes(size_t first) const {
    std::vector<worker::WeightChoice> probes;
    for (size_t l = first; l < layers_.size(); l += kProbeStride) {
      Bits bits = Parent();
      bits[l] += bits[l] == kMostBits ? -1 : 1;
      probes.push_back(Choice(bits));
    }
    return probes;
  }

  // Assignments that part in the first layer already.
  std::vector<worker::WeightChoice> Strangers(int count) const {
    std::vector<worker::WeightChoice> choices;
    for (int i = 0; i < count; ++i) {
      Bits bits = Parent();
      for (size_t l = 0; l < bits.size(); ++l) {
        int code = i;  // the first block's layers spell the number i
        for (size_t digit = 0; digit < l && l < 3; ++digit) code /= 5;
        if (l < 3) bits[l] = kLeastBits + code % 5;
      }
      choices.push_back(Choice(bits));
    }
    return choices;
  }

  absl::Status Hash(std::vector<worker::WeightChoice> children, bool reverse) {
    if (reverse) std::reverse(children.begin(), children.end());
    const auto response = Run(children);
    if (!response.ok()) return response.status();
    std::vector<std::string> hashes;
    for (const auto& result : response->results) {
      std::string bytes;
      for (const search::SampleSums& sums : result) {
        for (const double value : {sums.kl, sums.topk_kl, sums.nll}) {
          bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
        }
      }
      hashes.push_back(search::Sha256Hex(bytes));
    }
    if (reverse) std::reverse(hashes.begin(), hashes.end());
    std::printf("{\"hashes\": [\"%s\"]}\n",
                absl::StrJoin(hashes, "\", \"").c_str());
    return absl::OkStatus();
  }

  absl::Status Measure(
      const std::vector<std::vector<worker::WeightChoice>>& tasks,
      double share) {
    const double prepared = engine_->prepare_seconds();
    const auto start = std::chrono::steady_clock::now();
    const worker::Progress stop = [&](double done) { return done < share; };
    int64_t tokens = 0;
    for (const auto& task : tasks) {
      const auto response = Run(task, share > 0 ? stop : nullptr);
      if (!response.ok() && share == 0) return response.status();
      for (const auto& sample : samples_) {
        tokens += sample.size() * task.size();
      }
    }
    const std::chrono::duration<double> seconds =
        std::chrono::steady_clock::now() - start;
    std::printf(
        "{\"seconds\": %.6f, \"tokens\": %lld, \"prepare_seconds\": %.6f, "
        "\"prepared_bytes\": %lld, \"peak_bytes\": %lld}\n",
        seconds.count(), static_cast<long long>(tokens),
        (engine_->prepare_seconds() - prepared) / arena_->threads(),
        static_cast<long long>(engine_->prepared_bytes()),
        static_cast<long long>(PeakBytes()));
    return absl::OkStatus();
  }

  const std::string path_;
  const std::string directory_;
  worker::EvaluatorOptions options_;
  std::unique_ptr<worker::ThreadArena> arena_;
  std::unique_ptr<worker::Model> model_;
  std::unique_ptr<worker::Engine> engine_;
  std::vector<worker::LinearSpec> layers_;
  std::vector<std::vector<int32_t>> samples_;
};

absl::Status Serve(const std::string& path, int samples, int tokens,
                   const worker::EvaluatorOptions& options) {
  std::string directory =
      (std::filesystem::temp_directory_path() / "benchXXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) {
    return absl::UnavailableError("no temporary directory");
  }
  Bench bench(path, directory);
  absl::Status status = bench.Prepare(samples, tokens, options);
  std::string line = "single";
  if (status.ok()) std::printf("ready\n");
  std::fflush(stdout);
  while (status.ok() && std::getline(std::cin, line)) {
    status = bench.Scenario(line);
    std::fflush(stdout);
  }
  std::filesystem::remove_all(directory);
  return status;
}

}  // namespace
}  // namespace evopress

int main(int argc, char** argv) {
  evopress::worker::EvaluatorOptions options;
  bool usage = argc < 4 || argc % 2 != 0;
  for (int i = 4; i + 1 < argc && !usage; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--threads") {
      options.threads = std::atoi(argv[i + 1]);
    } else if (flag == "--memory") {
      options.memory_bytes = std::atoll(argv[i + 1]);
    } else {
      usage = true;
    }
  }
  if (usage) {
    std::fprintf(stderr,
                 "usage: engine_bench MODEL SAMPLES TOKENS [--threads N] "
                 "[--memory BYTES]\n");
    return 2;
  }
  const absl::Status status =
      evopress::Serve(argv[1], std::atoi(argv[2]), std::atoi(argv[3]), options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return 1;
}
