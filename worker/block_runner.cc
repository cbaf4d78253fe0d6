#include "worker/block_runner.h"

#include <algorithm>

namespace evopress::worker {
namespace {

// Positions in flight per thread: enough to keep threads busy to the end of a
// phase, few enough for queries, keys and values to stay in the cache.
constexpr int64_t kWaveRowsPerThread = 1024;

// Rows of the panel at `first_row` that are no padding.
int64_t ValidRows(const Sequence& sequence, int64_t first_row) {
  return std::clamp<int64_t>(sequence.tokens - first_row, 0, kPanelRows);
}

}  // namespace

BlockRunner::BlockRunner(const Model& model, ThreadArena& arena)
    : model_(model),
      kernels_(KernelsFor(model.arithmetic)),
      arena_(arena),
      widest_(model.architecture.hidden) {
  for (const BlockSpec& block : model.architecture.blocks) {
    widest_ = std::max<int64_t>(widest_, block.experts);
    for (const LinearSpec& linear : block.linears) {
      widest_ = std::max(widest_, linear.rows);
    }
  }
}

BlockRunner::Scratch& BlockRunner::LocalScratch() {
  Scratch& scratch = scratch_.local();
  if (scratch.first.empty()) {
    const AttentionShape& shape = model_.architecture.attention;
    scratch.input.resize(kPanelRows * widest_ *
                         ElementBytes(model_.arithmetic));
    scratch.gated.resize(scratch.input.size());
    scratch.first.resize(kPanelRows * widest_);
    scratch.second.resize(kPanelRows * widest_);
    scratch.third.resize(kPanelRows * shape.kv_heads * shape.head_dim);
  }
  return scratch;
}

void BlockRunner::EnsureTables(int64_t rows) {
  const Architecture& a = model_.architecture;
  if (!ropes_.empty() && ropes_[0].positions() >= rows) return;
  ropes_.clear();
  for (const RopeSpec& spec : a.ropes) ropes_.emplace_back(spec, rows);
}

absl::Status BlockRunner::Linear(int block, const Sequence& sequence, int slot,
                                 const void* input, float* output) const {
  return LinearPiece(block, sequence, slot, input, 0,
                     sequence.weights->linears[slot]->rows(), output);
}

absl::Status BlockRunner::LinearPiece(int block, const Sequence& sequence,
                                      int slot, const void* input,
                                      int64_t first, int64_t count,
                                      float* output) const {
  const PackedMatrix& matrix = *sequence.weights->linears[slot];
  absl::Status status = matrix.MultiplyPiece(input, first, count, output);
  if (!status.ok()) return status;
  const std::vector<float>& bias = model_.blocks[block].bias[slot];
  if (bias.empty()) return absl::OkStatus();
  for (int64_t r = 0; r < kPanelRows; ++r) {
    kernels_.add(bias.data() + first, count, output + r * count);
  }
  return absl::OkStatus();
}

void BlockRunner::Add(const std::vector<float>& norm, float* delta,
                      float* hidden) const {
  const Architecture& a = model_.architecture;
  if (!norm.empty()) {
    kernels_.rms_norm_floats(delta, norm.data(), a.norm_epsilon, kPanelRows,
                             a.hidden, delta);
  }
  kernels_.add(delta, kPanelRows * a.hidden, hidden);
}

void BlockRunner::Norm(const float* in, const std::vector<float>& weight,
                       void* out) const {
  const Architecture& a = model_.architecture;
  kernels_.rms_norm(in, weight.data(), a.norm_epsilon, kPanelRows, a.hidden,
                    out);
}

absl::Status BlockRunner::Run(int block, absl::Span<const Sequence> sequences,
                              const InputObserver& observer) {
  int64_t longest = 0;
  for (const Sequence& s : sequences) {
    longest = std::max(longest, PaddedRows(s.tokens));
  }
  EnsureTables(longest);
  const int64_t in_flight = std::max<int64_t>(
      1, arena_.threads() * kWaveRowsPerThread / std::max<int64_t>(longest, 1));
  if (longest > buffer_rows_ ||
      in_flight > static_cast<int64_t>(buffers_.size())) {
    buffer_rows_ = std::max(longest, buffer_rows_);
    buffers_.clear();
    for (int64_t i = 0; i < in_flight; ++i) {
      buffers_.emplace_back(model_.arithmetic, model_.architecture.attention,
                            buffer_rows_);
    }
  }
  for (size_t first = 0; first < sequences.size(); first += in_flight) {
    if (absl::Status s = RunWave(block, sequences.subspan(first, in_flight),
                                 first, observer);
        !s.ok()) {
      return s;
    }
  }
  return absl::OkStatus();
}

absl::Status BlockRunner::RunWave(int block,
                                  absl::Span<const Sequence> sequences,
                                  int64_t first_sequence,
                                  const InputObserver& observer) {
  const BlockSpec& spec = model_.architecture.blocks[block];
  std::vector<Panel> panels;
  for (size_t i = 0; i < sequences.size(); ++i) {
    buffers_[i].Reset(PaddedRows(sequences[i].tokens));
    for (int64_t row = 0; row < buffers_[i].rows(); row += kPanelRows) {
      panels.push_back({static_cast<int64_t>(i), row});
    }
  }
  InputObserver shifted;
  if (observer) {
    shifted = [&](int site, InputPanel panel) {
      panel.sequence += first_sequence;
      observer(site, panel);
    };
  }
  absl::Status status = arena_.ForEach(panels.size(), [&](int64_t i) {
    const int64_t s = panels[i].sequence;
    if (!sequences[s].weights->attention) return absl::OkStatus();
    return Attention(block, sequences[s], panels[i], shifted, buffers_[s]);
  });
  if (!status.ok()) return status;
  AttentionShape shape = model_.architecture.attention;
  shape.window = spec.window;
  // Late queries see more keys: begin with them, so that none is left over.
  status = arena_.ForEach(panels.size() * shape.heads, [&](int64_t i) {
    const Panel& panel = panels[panels.size() - 1 - i / shape.heads];
    if (!sequences[panel.sequence].weights->attention) return absl::OkStatus();
    buffers_[panel.sequence].Attend(shape, i % shape.heads, panel.first_row);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  status = arena_.ForEach(panels.size(), [&](int64_t i) -> absl::Status {
    const int64_t s = panels[i].sequence;
    const BlockWeights& weights = *sequences[s].weights;
    absl::Status out;
    if (weights.attention) {
      out = Output(block, sequences[s], panels[i], shifted, buffers_[s]);
    }
    if (!out.ok() || spec.experts > 0 || !weights.mlp) return out;
    return Mlp(block, sequences[s], panels[i], shifted);
  });
  if (!status.ok() || spec.experts == 0) return status;
  std::erase_if(panels, [&](const Panel& panel) {
    return !sequences[panel.sequence].weights->mlp;
  });
  return RunExperts(block, sequences, panels, shifted);
}

// Queries, keys and values of a panel.
absl::Status BlockRunner::Attention(int block, const Sequence& sequence,
                                    Panel panel, const InputObserver& observer,
                                    AttentionBuffers& buffers) {
  const Architecture& a = model_.architecture;
  const BlockSpec& spec = a.blocks[block];
  const BlockTensors& tensors = model_.blocks[block];
  const AttentionShape& shape = a.attention;
  Scratch& scratch = LocalScratch();
  Norm(sequence.hidden + panel.first_row * a.hidden, tensors.attention_norm,
       scratch.input.data());
  if (observer) {
    observer(kAttentionInput,
             {panel.sequence, panel.first_row,
              ValidRows(sequence, panel.first_row), scratch.input.data()});
  }
  float* const out[] = {scratch.first.data(), scratch.second.data(),
                        scratch.third.data()};
  for (const LinearSlot slot : {kQuery, kKey, kValue}) {
    if (absl::Status s =
            Linear(block, sequence, slot, scratch.input.data(), out[slot]);
        !s.ok()) {
      return s;
    }
  }
  const std::vector<float>* const head_norms[] = {&tensors.query_norm,
                                                  &tensors.key_norm};
  for (const LinearSlot slot : {kQuery, kKey}) {
    const int64_t heads = slot == kQuery ? shape.heads : shape.kv_heads;
    if (!head_norms[slot]->empty()) {
      kernels_.rms_norm_floats(out[slot], head_norms[slot]->data(),
                               a.norm_epsilon, kPanelRows * heads,
                               shape.head_dim, out[slot]);
    }
    if (spec.rope >= 0) {
      ropes_[spec.rope].Apply(panel.first_row, kPanelRows, heads,
                              shape.head_dim, out[slot]);
    }
  }
  buffers.StoreQueries(panel.first_row, out[kQuery]);
  buffers.StoreKeys(panel.first_row, out[kKey]);
  buffers.StoreValues(panel.first_row, out[kValue]);
  return absl::OkStatus();
}

// Output projection.
absl::Status BlockRunner::Output(int block, const Sequence& sequence,
                                 Panel panel, const InputObserver& observer,
                                 AttentionBuffers& buffers) {
  const Architecture& a = model_.architecture;
  const uint8_t* const attended =
      buffers.output() + panel.first_row * a.attention.heads *
                             a.attention.head_dim *
                             ElementBytes(model_.arithmetic);
  if (observer) {
    observer(kOutputInput, {panel.sequence, panel.first_row,
                            ValidRows(sequence, panel.first_row), attended});
  }
  float* const out = LocalScratch().first.data();
  absl::Status status = Linear(block, sequence, kOutput, attended, out);
  if (!status.ok()) return status;
  Add(model_.blocks[block].post_attention_norm, out,
      sequence.hidden + panel.first_row * a.hidden);
  return absl::OkStatus();
}

absl::Status BlockRunner::Mlp(int block, const Sequence& sequence, Panel panel,
                              const InputObserver& observer) {
  const BlockTensors& tensors = model_.blocks[block];
  Scratch& scratch = LocalScratch();
  float* const hidden =
      sequence.hidden + panel.first_row * model_.architecture.hidden;
  Norm(hidden, tensors.mlp_norm, scratch.input.data());
  absl::Status status =
      Gated(block, sequence, /*expert=*/0,
            {panel.sequence, panel.first_row,
             ValidRows(sequence, panel.first_row), scratch.input.data()},
            observer, scratch);
  if (!status.ok()) return status;
  Add(tensors.post_mlp_norm, scratch.first.data(), hidden);
  return absl::OkStatus();
}

// One MLP of the inputs in `scratch`; leaves the outputs in scratch.first.
absl::Status BlockRunner::Gated(int block, const Sequence& sequence, int expert,
                                InputPanel panel, const InputObserver& observer,
                                Scratch& scratch) {
  if (observer) observer(ExpertSite(expert, kMlpInput), panel);
  const int gate = ExpertSlot(expert, kGate);
  const int up = ExpertSlot(expert, kUp);
  const PackedMatrix& gates = *sequence.weights->linears[gate];
  const int64_t width = gates.rows();
  const int64_t piece = gates.piece();
  for (int64_t at = 0; at < width; at += piece) {
    const int64_t count = std::min(piece, width - at);
    for (const auto& [slot, out] : {std::pair(gate, scratch.first.data()),
                                    std::pair(up, scratch.second.data())}) {
      absl::Status status = LinearPiece(block, sequence, slot,
                                        scratch.input.data(), at, count, out);
      if (!status.ok()) return status;
    }
    kernels_.gate(model_.architecture.activation, scratch.first.data(),
                  scratch.second.data(), kPanelRows, count, width,
                  scratch.gated.data() + at * ElementBytes(model_.arithmetic));
  }
  panel.inputs = scratch.gated.data();
  if (observer) observer(ExpertSite(expert, kDownInput), panel);
  return Linear(block, sequence, ExpertSlot(expert, kDown),
                scratch.gated.data(), scratch.first.data());
}

}  // namespace evopress::worker
