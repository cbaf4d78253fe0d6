// Tokens per second of one warm assignment, all layers from 3-bit blobs.
//
//   engine_bench MODEL SAMPLES TOKENS [THREADS]
//
// Prepares itself, prints "ready", then measures once for every line on
// standard input and prints tokens per second: so that engine_vs_torch.py can
// alternate it with torch.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "quant/checkpoint.h"
#include "quant/compressor.h"
#include "quant/packed_weight.h"
#include "search/level_name.h"
#include "worker/evaluator.h"

namespace evopress {
namespace {

// Writes every layer at 3 bits into `directory`.
absl::StatusOr<worker::WeightChoice> MakeBlobs(
    const quant::Checkpoint& model, const std::vector<std::string>& layers,
    const std::string& directory) {
  const auto level = search::ParseLevel("rtn:b3:g64:asym");
  if (!level.ok()) return level.status();
  const auto compressor = quant::FindCompressor("rtn");
  if (!compressor.ok()) return compressor.status();
  worker::WeightChoice choice;
  for (const std::string& layer : layers) {
    const quant::TensorInfo* const info = model.Find(layer + ".weight");
    std::vector<float> values(info->elements());
    absl::Status status = model.ReadF32(
        info->name, absl::Span<float>(values.data(), values.size()));
    if (!status.ok()) return status;
    quant::LayerContext context;
    context.name = layer;
    context.shape = {info->shape[0], info->shape[1]};
    context.weight = values;
    const auto compressed = (*compressor)->Compress(context, {*level});
    if (!compressed.ok()) return compressed.status();
    const std::string path = directory + "/" + layer;
    std::ofstream(path, std::ios::binary)
        << quant::SerializeBlob(compressed->front().weight);
    choice.blob_of_layer[layer] = path;
  }
  return choice;
}

absl::Status Run(const std::string& path, int samples, int tokens,
                 int threads) {
  worker::EvaluatorOptions options;
  options.threads = threads;
  auto evaluator = worker::OpenLocalEvaluator(path, options);
  if (!evaluator.ok()) return evaluator.status();
  const auto model = quant::Checkpoint::Open(path);
  if (!model.ok()) return model.status();
  std::string directory =
      (std::filesystem::temp_directory_path() / "benchXXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) {
    return absl::UnavailableError("no temporary directory");
  }
  const auto choice =
      MakeBlobs(**model, (*evaluator)->info().layers, directory);
  if (!choice.ok()) return choice.status();
  worker::EvaluateRequest request;
  request.assignments = {*choice};
  for (int s = 0; s < samples; ++s) {
    std::vector<int32_t> sample(tokens);
    for (int t = 0; t < tokens; ++t) {
      sample[t] = (t * 7919 + s * 104729) % (*evaluator)->info().vocab_size;
    }
    request.samples.push_back(sample);
  }
  auto response = (*evaluator)->Evaluate(request, nullptr);  // warms the caches
  if (!response.ok()) return response.status();
  std::filesystem::remove_all(directory);
  std::printf("ready\n");
  std::fflush(stdout);
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto start = std::chrono::steady_clock::now();
    response = (*evaluator)->Evaluate(request, nullptr);
    const std::chrono::duration<double> seconds =
        std::chrono::steady_clock::now() - start;
    if (!response.ok()) return response.status();
    std::printf("%.1f\n", samples * tokens / seconds.count());
    std::fflush(stdout);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace evopress

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr,
                 "usage: engine_bench MODEL SAMPLES TOKENS [THREADS]\n");
    return 2;
  }
  const absl::Status status =
      evopress::Run(argv[1], std::atoi(argv[2]), std::atoi(argv[3]),
                    argc > 4 ? std::atoi(argv[4]) : 0);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return 1;
}
