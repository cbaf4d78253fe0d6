// Gram matrices of the uncompressed model's layer inputs.
#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/evaluation.h"
#include "worker/ops/matmul.h"
#include "worker/request_check.h"

namespace evopress::worker {
namespace {

constexpr int64_t kGramColumns = 192;  // of a Gram, per piece of work
// Inputs multiplied at once: enough of them hide that the strip is read and
// written, more fall out of the cache.
constexpr int64_t kGramRows = 4 * kPanelRows;

// Columns first … first+count of a Gram under way, down to the diagonal block,
// lie without gaps where its rows first … first+count will be.
float* Strip(quant::Gram& gram, int64_t first) {
  return gram.values.data() + first * gram.n;
}

// Puts the strips into their places, and fills in what is below the diagonal.
void Unfold(quant::Gram& gram) {
  const int64_t n = gram.n;
  const std::vector<float> strips = std::move(gram.values);
  gram.values.resize(n * n);
  for (int64_t first = 0; first < n; first += kGramColumns) {
    const int64_t count = std::min(kGramColumns, n - first);
    const float* at = strips.data() + first * n;
    for (int64_t r = 0; r < first + count; ++r) {
      for (int64_t c = first; c < first + count; ++c, ++at) {
        if (c < r) continue;
        gram.values[r * n + c] = *at;
        gram.values[c * n + r] = *at;
      }
    }
  }
}

// Up to kGramRows inputs side by side; what is no input is zero.
struct InputRows {
  AlignedVector<uint8_t> values;
  int64_t rows = 0;  // in use, whole panels
};

// The inputs of a sequence at one site, in its order.
struct SiteInputs {
  quant::Gram* gram = nullptr;        // null: not asked for
  std::map<int64_t, InputRows> runs;  // by row / kGramRows
};

// Where the panel at `first_row` goes.
uint8_t* PlaceOf(int64_t first_row, int64_t row_bytes, SiteInputs& site) {
  InputRows& run = site.runs[first_row / kGramRows];
  if (run.values.empty()) run.values.resize(kGramRows * row_bytes);
  const int64_t at = first_row % kGramRows;
  run.rows = std::max(run.rows, at + kPanelRows);
  return run.values.data() + at * row_bytes;
}

// Copies `rows` inputs of a panel; the others are zero.
void FillPanel(const void* inputs, int64_t rows, int64_t row_bytes,
               uint8_t* out) {
  const int64_t bytes = rows * row_bytes;
  std::memcpy(out, inputs, bytes);
  std::memset(out + bytes, 0, kPanelRows * row_bytes - bytes);
}

using Piece = std::pair<int, int64_t>;  // site, first column

std::vector<Piece> PiecesOf(const std::vector<SiteInputs>& inputs) {
  std::vector<Piece> pieces;
  for (size_t site = 0; site < inputs.size(); ++site) {
    if (inputs[site].gram == nullptr) continue;
    for (int64_t c = 0; c < inputs[site].gram->n; c += kGramColumns) {
      pieces.emplace_back(site, c);
    }
  }
  // The tallest strips first, so that no thread is left with one.
  std::stable_sort(
      pieces.begin(), pieces.end(),
      [](const auto& a, const auto& b) { return a.second > b.second; });
  return pieces;
}

// Adds a sample's inputs to their Grams and forgets them.
absl::Status AddUp(Arithmetic arithmetic, ThreadArena& arena,
                   const std::vector<Piece>& pieces,
                   std::vector<SiteInputs>& inputs) {
  absl::Status status =
      arena.ForEach(pieces.size(), [&](int64_t i) -> absl::Status {
        const auto [site, first] = pieces[i];
        quant::Gram& gram = *inputs[site].gram;
        const int64_t count = std::min(kGramColumns, gram.n - first);
        for (const auto& [index, run] : inputs[site].runs) {
          if (run.rows == 0) continue;
          absl::Status s =
              AccumulateGram(arithmetic, run.values.data(), run.rows, gram.n,
                             first, count, Strip(gram, first));
          if (!s.ok()) return s;
        }
        return absl::OkStatus();
      });
  for (SiteInputs& site : inputs) {
    for (auto& [index, run] : site.runs) run.rows = 0;
  }
  return status;
}

}  // namespace

// Adds what the head reads of `chunk`, given the states after all blocks.
absl::Status Engine::CaptureHead(const Samples& chunk,
                                 absl::Span<const float> hidden,
                                 quant::Gram& gram) {
  const int64_t dims = model_.architecture.hidden;
  const int64_t row_bytes = dims * ElementBytes(model_.arithmetic);
  std::vector<SiteInputs> inputs(1);
  inputs[0].gram = &gram;
  const std::vector<Piece> pieces = PiecesOf(inputs);
  int64_t row = 0;
  for (const auto* sample : chunk) {
    const auto tokens = static_cast<int64_t>(sample->size());
    const AlignedVector<uint8_t> final =
        FinalNorm(hidden.subspan(row * dims, PaddedRows(tokens) * dims));
    for (int64_t first = 0; first < tokens; first += kPanelRows) {
      FillPanel(final.data() + first * row_bytes,
                std::min<int64_t>(kPanelRows, tokens - first), row_bytes,
                PlaceOf(first, row_bytes, inputs[0]));
    }
    gram.tokens += tokens;
    absl::Status s = AddUp(model_.arithmetic, arena_, pieces, inputs);
    if (!s.ok()) return s;
    row += PaddedRows(tokens);
  }
  return absl::OkStatus();
}

absl::StatusOr<quant::Statistics> Engine::Capture(
    const std::vector<std::vector<int32_t>>& samples,
    const std::vector<std::string>& layers, const Progress& progress) {
  const Architecture& arch = model_.architecture;
  if (absl::Status s = CheckSamples(arch, samples); !s.ok()) return s;
  if (absl::Status s = CheckLayers(arch, layers); !s.ok()) return s;
  const std::set<std::string> wanted(layers.begin(), layers.end());
  const int64_t element_bytes = ElementBytes(model_.arithmetic);
  quant::Statistics statistics;
  size_t last_block = 0;
  for (size_t b = 0; b < arch.blocks.size(); ++b) {
    const BlockSpec& spec = arch.blocks[b];
    for (size_t slot = 0; slot < spec.linears.size(); ++slot) {
      const LinearSpec& linear = spec.linears[slot];
      if (!wanted.contains(linear.name)) continue;
      const std::string site = SiteName(spec, b, SiteOfSlot(slot));
      statistics.site_of_layer[linear.name] = site;
      quant::Gram& gram = statistics.sites[site];
      gram.n = linear.cols;
      gram.values.assign(linear.cols * linear.cols, 0.0f);
      last_block = b;
    }
  }
  const LinearSpec head = HeadLayer(arch);
  if (wanted.contains(head.name)) {
    statistics.site_of_layer[head.name] = kHeadSite;
    quant::Gram& gram = statistics.sites[kHeadSite];
    gram.n = head.cols;
    gram.values.assign(head.cols * head.cols, 0.0f);
    last_block = arch.blocks.size() - 1;
  }
  if (statistics.sites.empty()) return statistics;
  const std::vector<Samples> chunks = ChunkSamples(samples, 1);
  ProgressMeter meter(progress, (last_block + 1) * chunks.size());
  for (const Samples& chunk : chunks) {
    HiddenStates hidden = Embed(model_, chunk);
    for (size_t b = 0; b <= last_block; ++b) {
      if (!meter.Step()) return absl::CancelledError("the call was cancelled");
      const BlockSpec& spec = arch.blocks[b];
      BlockWeights weights;
      weights.linears.resize(spec.linears.size());
      absl::Status status = arena_.ForEach(
          spec.linears.size(), [&](int64_t slot) -> absl::Status {
            auto matrix = weights_.Get(spec.linears[slot], "");
            if (!matrix.ok()) return matrix.status();
            weights.linears[slot] = *std::move(matrix);
            return absl::OkStatus();
          });
      if (!status.ok()) return status;
      std::vector<SiteInputs> inputs(InputSites(spec));
      for (size_t site = 0; site < inputs.size(); ++site) {
        const auto it = statistics.sites.find(SiteName(spec, b, site));
        if (it != statistics.sites.end()) inputs[site].gram = &it->second;
      }
      const std::vector<Piece> pieces = PiecesOf(inputs);
      std::mutex mutex;  // guards the runs of `inputs` and their Grams' tokens
      // A sample at a time, so that only its inputs are held, and so that the
      // order of summation is that of the samples.
      float* at = hidden.data();
      for (const auto* sample : chunk) {
        const auto tokens = static_cast<int64_t>(sample->size());
        const Sequence sequence{at, tokens, &weights};
        status = runner_.Run(
            b, absl::MakeConstSpan(&sequence, 1),
            [&](int site, const InputPanel& panel) {
              SiteInputs& seen = inputs[site];
              if (seen.gram == nullptr) return;
              const int64_t row_bytes = seen.gram->n * element_bytes;
              uint8_t* rows = nullptr;
              {
                const std::lock_guard<std::mutex> lock(mutex);
                rows = PlaceOf(panel.first_row, row_bytes, seen);
                seen.gram->tokens += panel.rows;
              }
              FillPanel(panel.inputs, panel.rows, row_bytes, rows);
            });
        if (!status.ok()) return status;
        status = AddUp(model_.arithmetic, arena_, pieces, inputs);
        if (!status.ok()) return status;
        at += PaddedRows(tokens) * arch.hidden;
      }
    }
    const auto site = statistics.sites.find(kHeadSite);
    if (site == statistics.sites.end()) continue;
    absl::Status status = CaptureHead(chunk, hidden, site->second);
    if (!status.ok()) return status;
  }
  for (auto& [site, gram] : statistics.sites) Unfold(gram);
  return statistics;
}

}  // namespace evopress::worker
