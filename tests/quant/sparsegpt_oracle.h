// The oracle: Algorithm 1 of arXiv 2301.00774 as the paper writes it, in
// float64, one row and one column at a time, with H^-1 updated by elimination
// instead of a Cholesky factor and masks found, row by row, by sorting. Slow
// and plain on purpose.
#ifndef EVOPRESS_TESTS_QUANT_SPARSEGPT_ORACLE_H_
#define EVOPRESS_TESTS_QUANT_SPARSEGPT_ORACLE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <tuple>
#include <vector>

#include "tests/quant/gptq_oracle.h"
#include "tests/quant/random_layer.h"

namespace evopress::quant {

struct OraclePruned {
  std::vector<double> values;  // rows * cols
  std::vector<bool> kept;
};

class SparseGptOracle {
 public:
  SparseGptOracle(const RandomLayer& layer, const search::LevelName& level)
      : level_(level),
        rows_(layer.shape.rows),
        cols_(layer.shape.cols),
        group_(level.group_size == 0 ? cols_ : level.group_size),
        zeros_(*search::ZerosOf(level.sparsity, rows_ * cols_)),
        w_(layer.weight.begin(), layer.weight.end()),
        kept_(rows_ * cols_, true) {
    double mean = 0;
    for (int64_t i = 0; i < cols_; ++i) {
      mean += layer.gram.values[i * (cols_ + 1)] / static_cast<double>(cols_);
    }
    std::vector<double> damped(layer.gram.values.begin(),
                               layer.gram.values.end());
    for (int64_t i = 0; i < cols_; ++i) damped[i * (cols_ + 1)] += 0.01 * mean;
    inverse_ = InverseOf(damped, cols_);
    for (int64_t k = 0; k < cols_; ++k) {
      pivots_.push_back(inverse_[k * (cols_ + 1)]);
      columns_.emplace_back(cols_);
      for (int64_t j = k; j < cols_; ++j) {
        columns_[k][j] = inverse_[k * cols_ + j];
      }
      for (int64_t a = k + 1; a < cols_; ++a) {
        const double factor = inverse_[a * cols_ + k] / pivots_[k];
        for (int64_t b = k + 1; b < cols_; ++b) {
          inverse_[a * cols_ + b] -= factor * inverse_[k * cols_ + b];
        }
      }
    }
  }

  // Masks for batches of `batch` columns.
  OraclePruned Run(int64_t batch) {
    for (int64_t c = 0; c < cols_; ++c) {
      const search::Sparsity& sparsity = level_.sparsity;
      if (sparsity.kind == search::Sparsity::Kind::kPattern) {
        for (int64_t r = 0; r < rows_ && c % sparsity.group == 0; ++r) {
          Drop(r, c, c + sparsity.group, sparsity.group - sparsity.amount);
        }
      } else if (c % batch == 0) {
        const int64_t end = std::min(cols_, c + batch);
        for (int64_t r = 0; r < rows_; ++r) {
          const int64_t zeros = zeros_ * (r + 1) / rows_ - zeros_ * r / rows_;
          Drop(r, c, end, zeros * end / cols_ - zeros * c / cols_);
        }
      }
      if (level_.bits < 16 && c % group_ == 0) FitGrids(c);
      for (int64_t r = 0; r < rows_; ++r) PruneOne(r, c);
    }
    return {w_, kept_};
  }

 private:
  void Drop(int64_t r, int64_t begin, int64_t end, int64_t count) {
    std::vector<std::tuple<double, int64_t>> scores;
    for (int64_t c = begin; c < end; ++c) {
      const double w = w_[r * cols_ + c];
      scores.emplace_back(w * w / pivots_[c], r * cols_ + c);
    }
    std::sort(scores.begin(), scores.end());
    for (int64_t i = 0; i < count; ++i) kept_[std::get<1>(scores[i])] = false;
  }

  void FitGrids(int64_t c) {
    grids_.clear();
    for (int64_t r = 0; r < rows_; ++r) {
      std::vector<double> group;
      for (int64_t j = c; j < c + group_; ++j) {
        group.push_back(kept_[r * cols_ + j] ? w_[r * cols_ + j] : 0.0);
      }
      grids_.push_back(FitOracleGrid(group, level_.bits, level_.symmetric));
    }
  }

  void PruneOne(int64_t r, int64_t c) {
    const double w = w_[r * cols_ + c];
    double q = 0;
    if (kept_[r * cols_ + c]) {
      q = level_.bits < 16 ? OracleValue(w, grids_[r], level_.bits) : w;
    }
    const double error = (w - q) / pivots_[c];
    for (int64_t j = c + 1; j < cols_; ++j) {
      w_[r * cols_ + j] -= error * columns_[c][j];
    }
    w_[r * cols_ + c] = q;
  }

  const search::LevelName level_;
  const int64_t rows_;
  const int64_t cols_;
  const int64_t group_;
  const int64_t zeros_;
  std::vector<double> w_;
  std::vector<bool> kept_;
  std::vector<double> inverse_;
  std::vector<double> pivots_;                // of the columns still to come
  std::vector<std::vector<double>> columns_;  // likewise
  std::vector<OracleGrid> grids_;
};

// tr(D H D^T) of the oracle's result.
inline double OracleError(const RandomLayer& layer,
                          const OraclePruned& pruned) {
  const int64_t n = layer.shape.cols;
  double total = 0;
  for (int64_t r = 0; r < layer.shape.rows; ++r) {
    std::vector<double> d(n);
    for (int64_t i = 0; i < n; ++i) {
      d[i] = pruned.values[r * n + i] - layer.weight[r * n + i];
    }
    for (int64_t i = 0; i < n; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < n; ++j) {
        sum += layer.gram.values[i * n + j] * d[j];
      }
      total += d[i] * sum;
    }
  }
  return total;
}

}  // namespace evopress::quant

#endif  // EVOPRESS_TESTS_QUANT_SPARSEGPT_ORACLE_H_
