// Measures single promises on any model for tests/show: prints one JSON
// object on stdout. Not installed.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "quant/checkpoint.h"
#include "quant/compressor.h"
#include "quant/gram.h"
#include "quant/packed_weight.h"
#include "search/level_name.h"
#include "worker/evaluator.h"
#include "worker/tokenizer.h"

namespace evopress {
namespace {

using Json = nlohmann::json;

constexpr int kUsage = 2;

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return std::move(bytes).str();
}

// Token ids, little-endian int32, cut into sequences.
std::vector<std::vector<int32_t>> ReadSequences(const std::string& path,
                                                int length, int count) {
  const std::string bytes = ReadAll(path);
  std::vector<std::vector<int32_t>> sequences;
  const size_t stride = sizeof(int32_t) * length;
  for (int i = 0; i < count && (i + 1) * stride <= bytes.size(); ++i) {
    std::vector<int32_t> ids(length);
    std::memcpy(ids.data(), bytes.data() + i * stride, stride);
    sequences.push_back(std::move(ids));
  }
  return sequences;
}

absl::StatusOr<Json> Tokenize(const std::vector<std::string>& args) {
  auto model = quant::Checkpoint::Open(args[0]);
  if (!model.ok()) return model.status();
  auto tokenizer = worker::Tokenizer::Make((*model)->tokenizer());
  if (!tokenizer.ok()) return tokenizer.status();
  auto ids = (*tokenizer)->Encode(ReadAll(args[1]), /*parse_special=*/true);
  if (!ids.ok()) return ids.status();
  std::ofstream out(args[2], std::ios::binary);
  out.write(reinterpret_cast<const char*>(ids->data()),
            static_cast<std::streamsize>(ids->size() * sizeof(int32_t)));
  if (!out) return absl::InternalError("cannot write " + args[2]);
  return Json{{"tokens", ids->size()}};
}

// Round-to-nearest blobs of every layer at `bits`, as files in `folder`.
absl::StatusOr<worker::WeightChoice> MakeChoice(
    const quant::Checkpoint& model, const std::vector<std::string>& layers,
    const std::function<int(size_t)>& bits_of_layer,
    const std::string& folder) {
  worker::WeightChoice choice;
  for (size_t i = 0; i < layers.size(); ++i) {
    const int bits = bits_of_layer(i);
    const std::string path =
        absl::StrCat(folder, "/", layers[i], ".b", bits, ".blob");
    if (!std::filesystem::exists(path)) {
      const auto* info = model.Find(layers[i] + ".weight");
      if (info == nullptr) return absl::NotFoundError(layers[i]);
      std::vector<float> weight(info->elements());
      if (auto s = model.ReadF32(info->name, absl::MakeSpan(weight)); !s.ok()) {
        return s;
      }
      quant::LayerContext context{
          layers[i], {info->shape[0], info->shape[1]}, weight, nullptr};
      search::LevelName level;
      level.method = "rtn";
      level.bits = bits;
      level.group_size = 64;
      auto rtn = quant::FindCompressor("rtn");
      if (!rtn.ok()) return rtn.status();
      auto made = (*rtn)->Compress(context, {level});
      if (!made.ok()) return made.status();
      const std::string bytes = quant::SerializeBlob((*made)[0].weight);
      std::ofstream(path, std::ios::binary) << bytes;
    }
    choice.blob_of_layer[layers[i]] = path;
  }
  return choice;
}

std::string Bits(const search::SampleSums& sums) {
  uint64_t words[3];
  const double values[3] = {sums.kl, sums.topk_kl, sums.nll};
  std::memcpy(words, values, sizeof(words));
  return absl::StrCat(absl::Hex(words[0]), ":", absl::Hex(words[1]), ":",
                      absl::Hex(words[2]), ":", sums.positions);
}

// args: MODEL IDS LENGTH FOLDER. One pair measured alone and in batches of 8
// assignments, in two orders, with 1 and 2 threads, in fresh evaluators.
absl::StatusOr<Json> Invariance(const std::vector<std::string>& args) {
  auto model = quant::Checkpoint::Open(args[0]);
  if (!model.ok()) return model.status();
  const auto samples = ReadSequences(args[1], std::stoi(args[2]), 3);
  if (samples.size() < 3) return absl::InvalidArgumentError("too few tokens");
  Json seen = Json::array();
  for (const int threads : {1, 2}) {
    for (const bool batched : {false, true}) {
      for (const bool reversed : {false, true}) {
        worker::EvaluatorOptions options;
        options.threads = threads;
        auto evaluator = worker::OpenLocalEvaluator(args[0], options);
        if (!evaluator.ok()) return evaluator.status();
        const auto& layers = (*evaluator)->info().layers;
        worker::EvaluateRequest request;
        const int n = batched ? 8 : 1;
        for (int a = 0; a < n; ++a) {
          const int which = reversed ? n - 1 - a : a;
          auto choice = MakeChoice(
              **model, layers,
              [which](size_t i) {
                return which > 0 && static_cast<int>(i % 8) == which ? 2 : 3;
              },
              args[3]);
          if (!choice.ok()) return choice.status();
          request.assignments.push_back(*choice);
        }
        request.samples = {samples[0]};
        if (batched) request.samples = samples;
        if (batched && reversed)
          std::swap(request.samples[0], request.samples[2]);
        auto response = (*evaluator)->Evaluate(request, nullptr);
        if (!response.ok()) return response.status();
        const size_t a = reversed ? n - 1 : 0;
        const size_t s = batched && reversed ? 2 : 0;
        seen.push_back(Bits(response->results[a][s]));
      }
    }
  }
  bool equal = true;
  for (const Json& bits : seen) equal = equal && bits == seen[0];
  return Json{{"equal", equal}, {"bits", seen}};
}

// args: MODEL IDS LENGTH COUNT FOLDER DUMPS. Errors of gptq and rtn at 2, 3
// and 4 bits for every layer; weights, Grams and results of every
// (layers/DUMPS)th layer are dumped as raw float32 for the oracle.
absl::StatusOr<Json> Gptq(const std::vector<std::string>& args) {
  const std::string folder = args[4];
  auto evaluator = worker::OpenLocalEvaluator(args[0], {});
  if (!evaluator.ok()) return evaluator.status();
  worker::CaptureRequest request;
  request.samples =
      ReadSequences(args[1], std::stoi(args[2]), std::stoi(args[3]));
  request.layers = (*evaluator)->info().layers;
  request.output_path = folder + "/statistics";
  if (auto s = (*evaluator)->Capture(request, nullptr); !s.ok()) return s;
  auto statistics = quant::ReadStatistics(request.output_path);
  if (!statistics.ok()) return statistics.status();
  auto model = quant::Checkpoint::Open(args[0]);
  if (!model.ok()) return model.status();
  const size_t every =
      std::max<size_t>(1, request.layers.size() / std::stoul(args[5]));
  Json out = Json::array();
  for (size_t i = 0; i < request.layers.size(); ++i) {
    const std::string& layer = request.layers[i];
    const auto* info = (*model)->Find(layer + ".weight");
    std::vector<float> weight(info->elements());
    if (auto s = (*model)->ReadF32(info->name, absl::MakeSpan(weight));
        !s.ok()) {
      return s;
    }
    const quant::Gram& gram =
        statistics->sites.at(statistics->site_of_layer.at(layer));
    quant::LayerContext context{
        layer, {info->shape[0], info->shape[1]}, weight, &gram};
    Json entry = {
        {"layer", layer}, {"rows", info->shape[0]}, {"cols", info->shape[1]}};
    const auto dump = [&](const std::string& name, const float* data,
                          size_t n) {
      std::ofstream(absl::StrCat(folder, "/", i, ".", name), std::ios::binary)
          .write(reinterpret_cast<const char*>(data),
                 static_cast<std::streamsize>(n * sizeof(float)));
    };
    const bool dumped = i % every == 0;
    if (dumped) {
      dump("weight", weight.data(), weight.size());
      dump("gram", gram.values.data(), gram.values.size());
      entry["dump"] = i;
    }
    for (const std::string method : {"gptq", "rtn"}) {
      std::vector<search::LevelName> levels;
      for (const int bits : {2, 3, 4}) {
        auto level =
            search::ParseLevel(absl::StrCat(method, ":b", bits, ":g64"));
        if (!level.ok()) return level.status();
        levels.push_back(*level);
      }
      auto compressor = quant::FindCompressor(method);
      if (!compressor.ok()) return compressor.status();
      auto made = (*compressor)->Compress(context, levels);
      if (!made.ok()) return made.status();
      for (size_t l = 0; l < levels.size(); ++l) {
        entry[method].push_back((*made)[l].relative_error);
        entry["stored_bits"].push_back((*made)[l].costs.stored_bits);
        entry["blob_bytes"].push_back(
            quant::SerializeBlob((*made)[l].weight).size());
        if (dumped && method == "gptq") {
          std::vector<float> unpacked(weight.size());
          if (auto s =
                  quant::Unpack((*made)[l].weight, absl::MakeSpan(unpacked));
              !s.ok()) {
            return s;
          }
          dump(absl::StrCat("gptq", levels[l].bits), unpacked.data(),
               unpacked.size());
        }
      }
    }
    out.push_back(entry);
  }
  return out;
}

struct Command {
  size_t arguments;
  absl::StatusOr<Json> (*run)(const std::vector<std::string>&);
};

int Main(int argc, char** argv) {
  const std::map<std::string, Command> commands = {
      {"tokenize", {3, Tokenize}},
      {"invariance", {4, Invariance}},
      {"gptq", {6, Gptq}},
  };
  const auto command = argc > 1 ? commands.find(argv[1]) : commands.end();
  if (command == commands.end() ||
      command->second.arguments != static_cast<size_t>(argc - 2)) {
    std::fprintf(stderr, "show_probe: see tests/show/probe.cc\n");
    return kUsage;
  }
  const absl::StatusOr<Json> result =
      command->second.run({argv + 2, argv + argc});
  if (!result.ok()) {
    std::fprintf(stderr, "show_probe: %s\n",
                 result.status().ToString().c_str());
    return 1;
  }
  std::printf("%s\n", result->dump().c_str());
  return 0;
}

}  // namespace
}  // namespace evopress

int main(int argc, char** argv) { return evopress::Main(argc, argv); }
