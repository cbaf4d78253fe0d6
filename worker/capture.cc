// Gram matrices of the uncompressed model's layer inputs.
#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/evaluation.h"
#include "worker/ops/matmul.h"
#include "worker/request_check.h"

namespace evopress::worker {
namespace {

constexpr const char* kSiteNames[kInputSites] = {"attention", "output", "mlp",
                                                 "down"};
constexpr int64_t kGramColumns = 192;  // of a Gram, per piece of work

int64_t InputSize(const BlockSpec& block, int site) {
  for (int slot = 0; slot < kLinearSlots; ++slot) {
    if (kSiteOfSlot[slot] == site) return block.linears[slot].cols;
  }
  return 0;
}

// Fills in what is below the diagonal.
void Mirror(quant::Gram& gram) {
  for (int64_t r = 1; r < gram.n; ++r) {
    for (int64_t c = 0; c < r; ++c) {
      gram.values[r * gram.n + c] = gram.values[c * gram.n + r];
    }
  }
}

// The inputs of some sequences at one site, with zeros where they are padded.
struct SiteInputs {
  quant::Gram* gram = nullptr;  // null: not asked for
  AlignedVector<uint8_t> rows;
};

}  // namespace

absl::StatusOr<quant::Statistics> Engine::Capture(
    const std::vector<std::vector<int32_t>>& samples,
    const std::vector<std::string>& layers, const Progress& progress) {
  const Architecture& arch = model_.architecture;
  if (absl::Status s = CheckSamples(arch, samples); !s.ok()) return s;
  for (const std::string& layer : layers) {
    if (absl::Status s = CheckLayer(arch, layer); !s.ok()) return s;
  }
  const std::set<std::string> wanted(layers.begin(), layers.end());
  const int64_t element_bytes = ElementBytes(model_.arithmetic);
  quant::Statistics statistics;
  size_t last_block = 0;
  for (size_t b = 0; b < arch.blocks.size(); ++b) {
    for (int slot = 0; slot < kLinearSlots; ++slot) {
      const LinearSpec& linear = arch.blocks[b].linears[slot];
      if (!wanted.contains(linear.name)) continue;
      const std::string site =
          absl::StrCat("block ", b, " ", kSiteNames[kSiteOfSlot[slot]]);
      statistics.site_of_layer[linear.name] = site;
      quant::Gram& gram = statistics.sites[site];
      gram.n = linear.cols;
      gram.values.assign(linear.cols * linear.cols, 0.0f);
      last_block = b;
    }
  }
  if (wanted.empty()) return statistics;
  const std::vector<Samples> chunks = ChunkSamples(samples, 1);
  ProgressMeter meter(progress, (last_block + 1) * chunks.size());
  for (const Samples& chunk : chunks) {
    HiddenStates hidden = Embed(model_, chunk);
    for (size_t b = 0; b <= last_block; ++b) {
      if (!meter.Step()) return absl::CancelledError("the call was cancelled");
      const BlockSpec& spec = arch.blocks[b];
      BlockWeights weights;
      absl::Status status =
          arena_.ForEach(kLinearSlots, [&](int64_t slot) -> absl::Status {
            auto matrix = weights_.Get(spec.linears[slot], "");
            if (!matrix.ok()) return matrix.status();
            weights.linears[slot] = *std::move(matrix);
            return absl::OkStatus();
          });
      if (!status.ok()) return status;
      SiteInputs inputs[kInputSites];
      std::vector<std::pair<int, int64_t>> pieces;  // site, first column
      for (int site = 0; site < kInputSites; ++site) {
        const auto it = statistics.sites.find(
            absl::StrCat("block ", b, " ", kSiteNames[site]));
        if (it == statistics.sites.end()) continue;
        inputs[site].gram = &it->second;
        for (int64_t c = 0; c < InputSize(spec, site); c += kGramColumns) {
          pieces.emplace_back(site, c);
        }
      }
      // A sample at a time, so that only its inputs are held, and so that the
      // order of summation is that of the samples.
      float* at = hidden.data();
      for (const auto* sample : chunk) {
        const auto tokens = static_cast<int64_t>(sample->size());
        const int64_t rows = PaddedRows(tokens);
        for (int site = 0; site < kInputSites; ++site) {
          if (inputs[site].gram == nullptr) continue;
          inputs[site].rows.resize(rows * inputs[site].gram->n * element_bytes);
        }
        const Sequence sequence{at, tokens, &weights};
        status = runner_.Run(
            b, absl::MakeConstSpan(&sequence, 1),
            [&](InputSite site, int64_t, int64_t first, const void* panel) {
              if (inputs[site].gram == nullptr) return;
              const int64_t row_bytes = inputs[site].gram->n * element_bytes;
              const int64_t valid =
                  std::clamp<int64_t>(tokens - first, 0, kPanelRows);
              uint8_t* const out = inputs[site].rows.data() + first * row_bytes;
              std::memcpy(out, panel, valid * row_bytes);
              std::memset(out + valid * row_bytes, 0,
                          (kPanelRows - valid) * row_bytes);
            });
        if (!status.ok()) return status;
        status = arena_.ForEach(pieces.size(), [&](int64_t i) -> absl::Status {
          const auto [site, first] = pieces[i];
          quant::Gram& gram = *inputs[site].gram;
          const int64_t count = std::min(kGramColumns, gram.n - first);
          for (int64_t row = 0; row < rows; row += kPanelRows) {
            absl::Status s = AccumulateGram(
                model_.arithmetic,
                inputs[site].rows.data() + row * gram.n * element_bytes, gram.n,
                first, count, gram.values.data());
            if (!s.ok()) return s;
          }
          return absl::OkStatus();
        });
        if (!status.ok()) return status;
        for (const SiteInputs& site : inputs) {
          if (site.gram != nullptr) site.gram->tokens += tokens;
        }
        at += rows * arch.hidden;
      }
    }
  }
  for (auto& [site, gram] : statistics.sites) Mirror(gram);
  return statistics;
}

}  // namespace evopress::worker
