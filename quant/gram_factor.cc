// V is found without forming an inverse. Let J reverse the order of the
// inputs and J H J = L L^T. Then H = (J L J)(J L J)^T with J L J upper
// triangular, and V = (J L J)^-T = J L^-T J is lower triangular with
// V V^T = H^-1.

#include "quant/gram_factor.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <numeric>

// Parallelism is ours; threads inside a product would change its bits.
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Cholesky>
#include <Eigen/Core>

#include "absl/strings/str_cat.h"

namespace evopress::quant {
namespace {

// Eigen splits longer inner dimensions by the sizes of the CPU's caches, which
// would make the bits depend on the machine; it never splits 128.
constexpr int64_t kBlock = 128;

using Matrix =
    Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;

int64_t Blocks(int64_t n) { return (n + kBlock - 1) / kBlock; }

double LowerValue(const Gram& gram, int64_t a, int64_t b) {
  return gram.values[std::max(a, b) * gram.n + std::min(a, b)];
}

std::vector<int64_t> OrderOf(const Gram& gram, bool by_diagonal) {
  std::vector<int64_t> order(gram.n);
  std::iota(order.begin(), order.end(), 0);
  if (by_diagonal) {
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return LowerValue(gram, a, a) > LowerValue(gram, b, b);
    });
  }
  return order;
}

double MeanOfLiveDiagonal(const Gram& gram) {
  double sum = 0;
  int64_t live = 0;
  for (int64_t i = 0; i < gram.n; ++i) {
    const double value = LowerValue(gram, i, i);
    sum += value;
    live += value != 0;
  }
  return sum / static_cast<double>(live);
}

// The lower triangle of J (H / mean + damping) J.
Matrix ReversedGram(const Gram& gram, const std::vector<int64_t>& order,
                    double mean, double damping) {
  const int64_t n = gram.n;
  const std::vector<bool> dead = DeadInputs(gram);
  Matrix h(n, n);
  tbb::parallel_for(int64_t{0}, n, [&](int64_t c) {
    const int64_t input_c = order[n - 1 - c];
    for (int64_t r = c; r < n; ++r) {
      const int64_t input_r = order[n - 1 - r];
      h(r, c) = dead[input_r] || dead[input_c]
                    ? 0.0
                    : LowerValue(gram, input_r, input_c) / mean;
    }
    h(c, c) = (dead[input_c] ? 1.0 : h(c, c)) + damping;
  });
  return h;
}

// Replaces the lower triangle by its Cholesky factor; false if a pivot is not
// positive.
bool CholeskyInPlace(Matrix* matrix) {
  Matrix& a = *matrix;
  const int64_t n = a.rows();
  for (int64_t k = 0; k < n; k += kBlock) {
    const int64_t size = std::min(kBlock, n - k);
    const Eigen::LLT<Matrix> diagonal(a.block(k, k, size, size));
    if (diagonal.info() != Eigen::Success) return false;
    const Matrix lower = diagonal.matrixL();
    if (!lower.allFinite() || lower.diagonal().minCoeff() <= 0) return false;
    a.block(k, k, size, size) = lower;
    const int64_t next = k + size;
    tbb::parallel_for(int64_t{0}, Blocks(n - next), [&](int64_t i) {
      const int64_t row = next + i * kBlock;
      auto panel = a.block(row, k, std::min(kBlock, n - row), size);
      lower.triangularView<Eigen::Lower>()
          .transpose()
          .solveInPlace<Eigen::OnTheRight>(panel);
    });
    tbb::parallel_for(int64_t{0}, Blocks(n - next), [&](int64_t j) {
      const int64_t col = next + j * kBlock;
      const int64_t width = std::min(kBlock, n - col);
      a.block(col, col, n - col, width).noalias() -=
          a.block(col, k, n - col, size) *
          a.block(col, k, width, size).transpose();
    });
  }
  return true;
}

// The inverse of the lower triangle of `lower`, blocks of columns in parallel.
Matrix InvertLower(const Matrix& lower) {
  const int64_t n = lower.rows();
  Matrix inverse = Matrix::Zero(n, n);
  tbb::parallel_for(int64_t{0}, Blocks(n), [&](int64_t block) {
    const int64_t col = block * kBlock;
    const int64_t width = std::min(kBlock, n - col);
    auto x = inverse.middleCols(col, width);
    x.block(col, 0, width, width).setIdentity();
    for (int64_t k = col; k < n; k += kBlock) {
      const int64_t size = std::min(kBlock, n - k);
      auto solved = x.middleRows(k, size);
      lower.block(k, k, size, size)
          .triangularView<Eigen::Lower>()
          .solveInPlace(solved);
      const int64_t next = k + size;
      x.bottomRows(n - next).noalias() -=
          lower.block(next, k, n - next, size) * solved;
    }
  });
  return inverse;
}

// Fills in damping and v for the order in `factor`; false if the matrix is not
// positive definite.
bool FactorWith(const Gram& gram, double damping, GramFactor* factor) {
  const int64_t n = gram.n;
  Matrix h = ReversedGram(gram, factor->order, factor->mean, damping);
  if (!CholeskyInPlace(&h)) return false;
  const Matrix inverse = InvertLower(h);
  if (!inverse.allFinite()) return false;
  factor->damping = damping;
  factor->v.assign(n * n, 0.0f);
  tbb::parallel_for(int64_t{0}, n, [&](int64_t r) {
    // Row r of V is column n-1-r of L^-1 read backwards.
    for (int64_t c = 0; c <= r; ++c) {
      factor->v[r * n + c] = static_cast<float>(inverse(n - 1 - c, n - 1 - r));
    }
  });
  return true;
}

}  // namespace

std::vector<bool> DeadInputs(const Gram& gram) {
  std::vector<bool> dead(gram.n);
  for (int64_t i = 0; i < gram.n; ++i) dead[i] = LowerValue(gram, i, i) == 0;
  return dead;
}

bool IsZero(const Gram& gram) {
  const std::vector<bool> dead = DeadInputs(gram);
  return std::find(dead.begin(), dead.end(), false) == dead.end();
}

Gram Identity(int64_t n) {
  Gram gram;
  gram.n = n;
  gram.values.assign(n * n, 0.0f);
  for (int64_t i = 0; i < n; ++i) gram.values[i * n + i] = 1.0f;
  return gram;
}

absl::StatusOr<GramFactor> FactorInverse(const Gram& gram, bool by_diagonal) {
  GramFactor factor;
  factor.n = gram.n;
  factor.order = OrderOf(gram, by_diagonal);
  factor.mean = MeanOfLiveDiagonal(gram);
  for (double damping = kFirstDamping; damping <= kMaxDamping * 1.001;
       damping *= 10) {
    if (FactorWith(gram, damping, &factor)) return factor;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the Gram matrix is not positive definite, even with ",
                   100 * kMaxDamping, " % of its mean diagonal added"));
}

absl::StatusOr<GramFactor> FactorInverse(const Gram& gram, double damping) {
  GramFactor factor;
  factor.n = gram.n;
  factor.order = OrderOf(gram, /*by_diagonal=*/false);
  factor.mean = MeanOfLiveDiagonal(gram);
  if (FactorWith(gram, damping, &factor)) return factor;
  return absl::InvalidArgumentError(
      absl::StrCat("the Gram matrix is not positive definite, even with ",
                   100 * damping, " % of its mean diagonal added"));
}

}  // namespace evopress::quant
