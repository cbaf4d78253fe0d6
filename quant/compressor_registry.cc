// One line a method.

#include <array>

#include "absl/strings/str_cat.h"
#include "quant/admm.h"
#include "quant/compressor.h"
#include "quant/gptq.h"
#include "quant/magnitude.h"
#include "quant/rtn.h"
#include "quant/sparsegpt.h"
#include "quant/wanda.h"

namespace evopress::quant {
namespace {

struct Entry {
  const char* method;
  const Compressor* compressor;
};

const auto& Entries() {
  // Never destroyed, so that threads may outlive main().
  static const std::array kEntries = {
      Entry{"admm", new AdmmCompressor},
      Entry{"gptq", new GptqCompressor},
      Entry{"magnitude", new MagnitudeCompressor},
      Entry{"rtn", new RtnCompressor},
      Entry{"sparsegpt", new SparseGptCompressor},
      Entry{"wanda", new WandaCompressor},
  };
  return kEntries;
}

// What "keep" is billed at: the 16-bit floats of the model.
constexpr int kKeptBits = 16;

}  // namespace

absl::StatusOr<const Compressor*> FindCompressor(const std::string& method) {
  std::string known;
  for (const Entry& entry : Entries()) {
    if (method == entry.method) return entry.compressor;
    absl::StrAppend(&known, known.empty() ? "" : ", ", entry.method);
  }
  return absl::NotFoundError(absl::StrCat("no compressor is called \"", method,
                                          "\"; there are ", known));
}

absl::StatusOr<LevelCosts> CostsOf(const WeightShape& shape,
                                   const search::LevelName& level) {
  if (level.method == "drop") return LevelCosts{};
  if (level.method == "keep") {
    if (shape.rows < 1 || shape.cols < 1 ||
        shape.rows > (int64_t{1} << 40) / shape.cols) {
      return absl::InvalidArgumentError(
          absl::StrCat("impossible shape ", shape.rows, " x ", shape.cols));
    }
    const int64_t weights = shape.rows * shape.cols;
    return LevelCosts{weights * kKeptBits, weights * kKeptBits, weights};
  }
  const absl::StatusOr<const Compressor*> compressor =
      FindCompressor(level.method);
  if (!compressor.ok()) return compressor.status();
  return (*compressor)->Costs(shape, level);
}

}  // namespace evopress::quant
