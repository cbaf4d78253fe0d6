// The MLP of a block with experts. Tokens are gathered by expert within their
// sequence, never across sequences: what a panel holds is then a function of
// (assignment, sample) alone.
#include <algorithm>
#include <cstring>

#include "worker/block_runner.h"
#include "worker/ops/routing.h"

namespace evopress::worker {

absl::Status BlockRunner::RunExperts(int block,
                                     absl::Span<const Sequence> sequences,
                                     absl::Span<const Panel> panels,
                                     const InputObserver& observer) {
  const BlockSpec& spec = model_.architecture.blocks[block];
  const int64_t fan_out = spec.experts_per_token;
  const int64_t hidden = model_.architecture.hidden;
  std::vector<Routed> routed(sequences.size());
  for (size_t s = 0; s < sequences.size(); ++s) {
    if (!sequences[s].weights->mlp) continue;  // dropped: nothing is routed
    const int64_t pairs = sequences[s].tokens * fan_out;
    routed[s].inputs.resize(PaddedRows(sequences[s].tokens) * hidden *
                            ElementBytes(model_.arithmetic));
    routed[s].experts.resize(pairs);
    routed[s].shares.resize(pairs);
    routed[s].outputs.resize(pairs * hidden);
  }
  absl::Status status = arena_.ForEach(panels.size(), [&](int64_t i) {
    const int64_t s = panels[i].sequence;
    return Route(block, sequences[s], panels[i], routed[s]);
  });
  if (!status.ok()) return status;
  // pairs[s * experts + e]: those of a sequence that go to an expert, in order.
  std::vector<std::vector<int32_t>> pairs(sequences.size() * spec.experts);
  std::vector<ExpertPanel> work;
  for (size_t s = 0; s < sequences.size(); ++s) {
    for (size_t p = 0; p < routed[s].experts.size(); ++p) {
      pairs[s * spec.experts + routed[s].experts[p]].push_back(
          static_cast<int32_t>(p));
    }
    for (int e = 0; e < spec.experts; ++e) {
      const auto all = absl::MakeConstSpan(pairs[s * spec.experts + e]);
      for (size_t first = 0; first < all.size(); first += kPanelRows) {
        work.push_back({static_cast<int64_t>(s), e, static_cast<int64_t>(first),
                        all.subspan(first, kPanelRows)});
      }
    }
  }
  status = arena_.ForEach(work.size(), [&](int64_t i) {
    const int64_t s = work[i].sequence;
    return RunExpert(block, sequences[s], work[i], observer, routed[s]);
  });
  if (!status.ok()) return status;
  return arena_.ForEach(panels.size(), [&](int64_t i) {
    const int64_t s = panels[i].sequence;
    Combine(block, sequences[s], panels[i], routed[s]);
    return absl::OkStatus();
  });
}

// Writes the inputs of a panel's tokens and where they go to.
absl::Status BlockRunner::Route(int block, const Sequence& sequence,
                                Panel panel, Routed& routed) {
  const Architecture& a = model_.architecture;
  const BlockSpec& spec = a.blocks[block];
  const std::vector<float>& norm = model_.blocks[block].mlp_norm;
  const float* const hidden = sequence.hidden + panel.first_row * a.hidden;
  Scratch& scratch = LocalScratch();
  Norm(hidden, norm,
       routed.inputs.data() +
           panel.first_row * a.hidden * ElementBytes(model_.arithmetic));
  kernels_.rms_norm_floats(hidden, norm.data(), a.norm_epsilon, kPanelRows,
                           a.hidden, scratch.first.data());
  absl::Status status = model_.routers[block]->Multiply(scratch.first.data(),
                                                        scratch.second.data());
  if (!status.ok()) return status;
  const int64_t first = panel.first_row * spec.experts_per_token;
  ChooseExperts(scratch.second.data(),
                std::min(kPanelRows, sequence.tokens - panel.first_row),
                spec.experts, spec.experts_per_token, spec.normalize_experts,
                routed.experts.data() + first, routed.shares.data() + first);
  return absl::OkStatus();
}

absl::Status BlockRunner::RunExpert(int block, const Sequence& sequence,
                                    const ExpertPanel& panel,
                                    const InputObserver& observer,
                                    Routed& routed) {
  const int64_t hidden = model_.architecture.hidden;
  const int64_t fan_out = model_.architecture.blocks[block].experts_per_token;
  const int64_t row_bytes = hidden * ElementBytes(model_.arithmetic);
  const auto rows = static_cast<int64_t>(panel.pairs.size());
  Scratch& scratch = LocalScratch();
  uint8_t* const input = scratch.input.data();
  for (int64_t r = 0; r < rows; ++r) {
    std::memcpy(input + r * row_bytes,
                routed.inputs.data() + panel.pairs[r] / fan_out * row_bytes,
                row_bytes);
  }
  std::memset(input + rows * row_bytes, 0, (kPanelRows - rows) * row_bytes);
  absl::Status status =
      Gated(block, sequence, panel.expert,
            {panel.sequence, panel.first_row, rows, input}, observer, scratch);
  if (!status.ok()) return status;
  for (int64_t r = 0; r < rows; ++r) {
    std::copy_n(scratch.first.data() + r * hidden, hidden,
                routed.outputs.data() + panel.pairs[r] * hidden);
  }
  return absl::OkStatus();
}

// Adds up what the experts say of a panel's tokens.
void BlockRunner::Combine(int block, const Sequence& sequence, Panel panel,
                          const Routed& routed) {
  const int64_t hidden = model_.architecture.hidden;
  const int64_t fan_out = model_.architecture.blocks[block].experts_per_token;
  float* const sum = LocalScratch().first.data();
  std::fill_n(sum, kPanelRows * hidden, 0.0f);
  const int64_t rows = std::min(kPanelRows, sequence.tokens - panel.first_row);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t k = 0; k < fan_out; ++k) {
      const int64_t pair = (panel.first_row + r) * fan_out + k;
      const float share = routed.shares[pair];
      const float* const output = routed.outputs.data() + pair * hidden;
      for (int64_t i = 0; i < hidden; ++i) {
        sum[r * hidden + i] += share * output[i];
      }
    }
  }
  Add(model_.blocks[block].post_mlp_norm, sum,
      sequence.hidden + panel.first_row * hidden);
}

}  // namespace evopress::worker
