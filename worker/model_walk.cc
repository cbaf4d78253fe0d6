#include "worker/model_walk.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace evopress::worker {
namespace {

using Samples = absl::Span<const std::vector<int32_t>* const>;

// Splits states whose choices part at this block; returns what each runs with.
std::vector<BlockChoice> BranchStates(
    const BlockSpec& spec, absl::Span<const WeightChoice* const> choices,
    std::vector<WalkState>& states) {
  std::vector<std::vector<int>> groups;
  for (WalkState& state : states) groups.push_back(std::move(state.choices));
  std::vector<WalkState> branched;
  std::vector<BlockChoice> blocks;
  for (Branch& branch : BranchAt(spec, choices, groups)) {
    HiddenStates& parent = states[branch.parent].hidden;
    branched.push_back(
        {std::move(branch.choices), branch.last ? std::move(parent) : parent});
    blocks.push_back(std::move(branch.block));
  }
  states = std::move(branched);
  return blocks;
}

// Prepares the distinct weights of a block, in parallel.
absl::Status Prepare(const BlockSpec& spec, ThreadArena& arena,
                     WeightCache& cache, const std::vector<BlockChoice>& blocks,
                     std::vector<BlockWeights>& weights) {
  std::map<std::pair<size_t, std::string>, std::shared_ptr<const PackedMatrix>>
      distinct;
  for (const BlockChoice& block : blocks) {
    for (size_t slot = 0; slot < block.blobs.size(); ++slot) {
      if (block.Runs(slot)) distinct[{slot, block.blobs[slot]}];
    }
  }
  std::vector<decltype(distinct)::iterator> entries;
  for (auto it = distinct.begin(); it != distinct.end(); ++it) {
    entries.push_back(it);
  }
  absl::Status status =
      arena.ForEach(entries.size(), [&](int64_t i) -> absl::Status {
        const auto& [slot, blob] = entries[i]->first;
        auto matrix = cache.Get(spec.linears[slot], blob);
        if (!matrix.ok()) return matrix.status();
        entries[i]->second = *std::move(matrix);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  weights.resize(blocks.size());
  for (size_t s = 0; s < blocks.size(); ++s) {
    weights[s].attention = blocks[s].attention;
    weights[s].mlp = blocks[s].mlp;
    weights[s].linears.resize(spec.linears.size());
    for (size_t slot = 0; slot < spec.linears.size(); ++slot) {
      if (!blocks[s].Runs(slot)) continue;
      weights[s].linears[slot] = distinct[{slot, blocks[s].blobs[slot]}];
    }
  }
  return absl::OkStatus();
}

// Embed() by the level in `blob`, the model's own table if that is empty.
absl::StatusOr<HiddenStates> EmbedLevel(const Model& model, WeightCache& cache,
                                        const std::string& blob,
                                        Samples samples) {
  if (blob.empty()) return Embed(model, samples);
  const LinearSpec spec = EmbeddingLayer(model.architecture);
  auto rows = cache.GetRows(spec, blob);
  if (!rows.ok()) return rows.status();
  HiddenStates hidden(TotalRows(samples) * spec.cols, 0.0f);
  std::vector<float> row(spec.cols);
  float* at = hidden.data();
  for (const auto* sample : samples) {
    for (size_t t = 0; t < sample->size(); ++t) {
      absl::Status s = (*rows)->Unpack((*sample)[t], 1, absl::MakeSpan(row));
      if (!s.ok()) return s;
      model.embedding.LookAt(row, at + t * spec.cols);
    }
    at += PaddedRows(sample->size()) * spec.cols;
  }
  return hidden;
}

}  // namespace

int64_t TotalRows(Samples samples) {
  int64_t rows = 0;
  for (const auto* sample : samples) rows += PaddedRows(sample->size());
  return rows;
}

HiddenStates Embed(const Model& model, Samples samples) {
  const int64_t dims = model.architecture.hidden;
  HiddenStates hidden(TotalRows(samples) * dims, 0.0f);
  float* at = hidden.data();
  for (const auto* sample : samples) {
    model.embedding.Look(*sample, at);
    at += PaddedRows(sample->size()) * dims;
  }
  return hidden;
}

absl::Status WalkModel(const Model& model, ThreadArena& arena,
                       BlockRunner& runner, WeightCache& cache,
                       absl::Span<const WeightChoice* const> choices,
                       Samples samples, bool share_prefixes,
                       const BlockProgress& progress,
                       std::vector<WalkState>& out) {
  const int64_t dims = model.architecture.hidden;
  out.clear();
  std::map<std::string, size_t> state_of;  // by blob of the embedding
  for (size_t c = 0; c < choices.size(); ++c) {
    const std::string blob = EmbeddingBlob(model.architecture, *choices[c]);
    const auto [it, inserted] = state_of.try_emplace(blob, out.size());
    if (inserted || !share_prefixes) {
      auto hidden = EmbedLevel(model, cache, blob, samples);
      if (!hidden.ok()) return hidden.status();
      it->second = out.size();
      out.push_back({{}, *std::move(hidden)});
    }
    out[it->second].choices.push_back(c);
  }
  for (size_t b = 0; b < model.architecture.blocks.size(); ++b) {
    if (!progress(b)) return absl::CancelledError("the call was cancelled");
    const BlockSpec& spec = model.architecture.blocks[b];
    const std::vector<BlockChoice> blocks = BranchStates(spec, choices, out);
    std::vector<BlockWeights> weights;
    absl::Status status = Prepare(spec, arena, cache, blocks, weights);
    if (!status.ok()) return status;
    std::vector<Sequence> sequences;
    for (size_t s = 0; s < out.size(); ++s) {
      float* at = out[s].hidden.data();
      for (const auto* sample : samples) {
        const auto tokens = static_cast<int64_t>(sample->size());
        sequences.push_back({at, tokens, &weights[s]});
        at += PaddedRows(tokens) * dims;
      }
    }
    status = runner.Run(b, sequences, nullptr);
    if (!status.ok()) return status;
  }
  std::sort(out.begin(), out.end(), [](const auto& x, const auto& y) {
    return x.choices.front() < y.choices.front();
  });
  return absl::OkStatus();
}

}  // namespace evopress::worker
