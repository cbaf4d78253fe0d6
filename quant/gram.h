// Gram matrices H = sum over calibration tokens of x x^T of layers' inputs
// (the layer-wise Hessian of GPTQ up to a factor 2), and the statistics file
// that holds them.
#ifndef EVOPRESS_QUANT_GRAM_H_
#define EVOPRESS_QUANT_GRAM_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace evopress::quant {

// Symmetric n x n, full storage, row-major float32.
struct Gram {
  int64_t n = 0;
  int64_t tokens = 0;  // how many x were summed
  std::vector<float> values;
};

// Grams by site. Several layers share a site when they read the same input
// (q, k and v; gate and up): `site_of_layer` maps layer names to sites.
struct Statistics {
  std::map<std::string, Gram> sites;
  std::map<std::string, std::string> site_of_layer;
};

// Writes atomically; format with magic, version, sizes and SHA-256.
absl::Status WriteStatistics(const Statistics& statistics,
                             const std::string& path);

// DataLoss for damaged files; values are checked to be finite.
absl::StatusOr<Statistics> ReadStatistics(const std::string& path);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_GRAM_H_
