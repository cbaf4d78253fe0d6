#include "worker/request_check.h"

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace evopress::worker {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int32_t kMaxTopK = 4096;

}  // namespace

absl::Status CheckSamples(const Architecture& architecture,
                          const std::vector<std::vector<int32_t>>& samples) {
  if (samples.size() > uint64_t{kMaxSamples}) {
    return absl::InvalidArgumentError(
        absl::StrCat(samples.size(), " samples exceed the limit of ",
                     kMaxSamples, "; send fewer at a time"));
  }
  for (size_t s = 0; s < samples.size(); ++s) {
    const auto tokens = static_cast<int64_t>(samples[s].size());
    if (tokens < kMinSampleTokens || tokens > kMaxSampleTokens) {
      return absl::InvalidArgumentError(
          absl::StrCat("sample ", s, " has ", tokens, " tokens; it must have ",
                       kMinSampleTokens, " to ", kMaxSampleTokens));
    }
    for (int64_t t = 0; t < tokens; ++t) {
      if (samples[s][t] < 0 || samples[s][t] >= architecture.vocab) {
        return absl::InvalidArgumentError(
            absl::StrCat("sample ", s, ", token ", t, " is ", samples[s][t],
                         "; the vocabulary is 0 to ", architecture.vocab - 1));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLayers(const Architecture& architecture,
                         const std::vector<std::string>& layers) {
  absl::flat_hash_set<absl::string_view> known;
  for (const BlockSpec& block : architecture.blocks) {
    for (const LinearSpec& linear : block.linears) known.insert(linear.name);
  }
  const std::string embedding = EmbeddingLayer(architecture).name;
  const std::string head = HeadLayer(architecture).name;
  known.insert(embedding);
  known.insert(head);
  for (const std::string& layer : layers) {
    if (known.contains(layer)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "the model has no linear layer '", layer, "'; the first is '",
        architecture.blocks[0].linears[0].name, "'"));
  }
  return absl::OkStatus();
}

absl::Status CheckModules(const Architecture& architecture,
                          const std::set<std::string>& modules) {
  absl::flat_hash_set<absl::string_view> known;
  for (const BlockSpec& block : architecture.blocks) {
    known.insert(block.attention);
    known.insert(block.mlp);
  }
  for (const std::string& module : modules) {
    if (known.contains(module)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "the model has no module '", module, "' to drop; the first are '",
        architecture.blocks[0].attention, "' and '", architecture.blocks[0].mlp,
        "'"));
  }
  return absl::OkStatus();
}

absl::Status CheckOptions(const EvaluatorOptions& options) {
  if (options.threads < 0 || options.threads > kMaxThreads) {
    return absl::InvalidArgumentError(absl::StrCat(
        "threads=", options.threads, " is outside 0 to ", kMaxThreads));
  }
  if (options.top_k < 1 || options.top_k > kMaxTopK) {
    return absl::InvalidArgumentError(
        absl::StrCat("top_k=", options.top_k, " is outside 1 to ", kMaxTopK));
  }
  if (options.memory_bytes < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("memory_bytes=", options.memory_bytes, " is negative"));
  }
  return absl::OkStatus();
}

absl::Status CheckRequest(const Architecture& architecture,
                          const EvaluateRequest& request) {
  if (absl::Status s = CheckSamples(architecture, request.samples); !s.ok()) {
    return s;
  }
  if (request.assignments.size() > uint64_t{kMaxAssignments}) {
    return absl::InvalidArgumentError(
        absl::StrCat(request.assignments.size(),
                     " assignments exceed the limit of ", kMaxAssignments));
  }
  for (const WeightChoice& choice : request.assignments) {
    std::vector<std::string> layers;
    for (const auto& [layer, blob] : choice.blob_of_layer) {
      layers.push_back(layer);
    }
    if (absl::Status s = CheckLayers(architecture, layers); !s.ok()) return s;
    if (absl::Status s = CheckModules(architecture, choice.dropped); !s.ok()) {
      return s;
    }
    for (const auto& [layer, blob] : choice.blob_of_layer) {
      if (blob.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat("layer '", layer, "' has an empty blob path"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace evopress::worker
