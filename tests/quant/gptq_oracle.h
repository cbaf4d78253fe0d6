// The oracle: Algorithm 1 of arXiv 2210.17323 as the paper writes it, in
// float64, one row and one column at a time, with H^-1 updated by elimination
// instead of a Cholesky factor. Slow and plain on purpose.
#ifndef EVOPRESS_TESTS_QUANT_GPTQ_ORACLE_H_
#define EVOPRESS_TESTS_QUANT_GPTQ_ORACLE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "quant/half.h"
#include "tests/quant/random_layer.h"

namespace evopress::quant {

struct OracleGrid {
  double scale;
  double zero;
};

inline OracleGrid FitOracleGrid(const std::vector<double>& w, int bits,
                                bool symmetric) {
  const double top = (1 << bits) - 1;
  double low = std::min(0.0, *std::min_element(w.begin(), w.end()));
  double high = std::max(0.0, *std::max_element(w.begin(), w.end()));
  if (symmetric) {
    high = std::max(high, -low);
    low = -high;
  }
  if (high == low) return {1, symmetric ? (top + 1) / 2 : 0};
  const double scale =
      HalfToFloat(FloatToHalf(static_cast<float>((high - low) / top)));
  return {scale, symmetric ? (top + 1) / 2 : std::nearbyint(-low / scale)};
}

inline double OracleValue(double w, const OracleGrid& grid, int bits) {
  const double code = std::clamp(std::nearbyint(w / grid.scale) + grid.zero,
                                 0.0, static_cast<double>((1 << bits) - 1));
  return grid.scale * (code - grid.zero);
}

inline std::vector<double> InverseOf(std::vector<double> a, int64_t n) {
  std::vector<double> inverse(n * n);
  for (int64_t i = 0; i < n; ++i) inverse[i * n + i] = 1;
  for (int64_t k = 0; k < n; ++k) {
    const double pivot = a[k * n + k];
    for (int64_t j = 0; j < n; ++j) {
      a[k * n + j] /= pivot;
      inverse[k * n + j] /= pivot;
    }
    for (int64_t i = 0; i < n; ++i) {
      const double factor = a[i * n + k];
      if (i == k || factor == 0) continue;
      for (int64_t j = 0; j < n; ++j) {
        a[i * n + j] -= factor * a[k * n + j];
        inverse[i * n + j] -= factor * inverse[k * n + j];
      }
    }
  }
  return inverse;
}

// Layer error of the oracle at a level.
inline double OracleError(const RandomLayer& layer,
                          const search::LevelName& level) {
  const int64_t n = layer.shape.cols;
  const int64_t rows = layer.shape.rows;
  const int64_t group = level.group_size == 0 ? n : level.group_size;
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  const auto h = [&](int64_t i, int64_t j) {
    return static_cast<double>(layer.gram.values[i * n + j]);
  };
  if (level.act_order) {
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return h(a, a) > h(b, b); });
  }
  double mean = 0;
  for (int64_t i = 0; i < n; ++i) mean += h(i, i) / static_cast<double>(n);
  std::vector<double> damped(n * n);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      damped[i * n + j] = h(order[i], order[j]) + (i == j ? 0.01 * mean : 0.0);
    }
  }
  std::vector<double> inverse = InverseOf(damped, n);
  std::vector<double> w(rows * n);  // in the original order of columns
  for (int64_t i = 0; i < rows * n; ++i) w[i] = layer.weight[i];
  std::vector<double> q(rows * n);
  std::vector<OracleGrid> grids(rows * (n / group));
  const auto fit = [&](int64_t g) {
    for (int64_t r = 0; r < rows; ++r) {
      const auto begin = w.begin() + r * n + g * group;
      grids[r * (n / group) + g] =
          FitOracleGrid(std::vector<double>(begin, begin + group), level.bits,
                        level.symmetric);
    }
  };
  for (int64_t g = 0; level.act_order && g < n / group; ++g) fit(g);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t c = order[i];
    if (!level.act_order && c % group == 0) fit(c / group);
    const double pivot = inverse[i * n + i];
    for (int64_t r = 0; r < rows; ++r) {
      q[r * n + c] = OracleValue(
          w[r * n + c], grids[r * (n / group) + c / group], level.bits);
      const double error = (w[r * n + c] - q[r * n + c]) / pivot;
      for (int64_t j = i + 1; j < n; ++j) {
        w[r * n + order[j]] -= error * inverse[i * n + j];
      }
    }
    // Gaussian elimination: H^-1 of the columns that are left.
    for (int64_t a = i + 1; a < n; ++a) {
      const double factor = inverse[a * n + i] / pivot;
      for (int64_t b = i + 1; b < n; ++b) {
        inverse[a * n + b] -= factor * inverse[i * n + b];
      }
    }
  }
  double total = 0;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        total += (q[r * n + i] - layer.weight[r * n + i]) * h(i, j) *
                 (q[r * n + j] - layer.weight[r * n + j]);
      }
    }
  }
  return total;
}

}  // namespace evopress::quant

#endif  // EVOPRESS_TESTS_QUANT_GPTQ_ORACLE_H_
