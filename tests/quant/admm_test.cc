#include "quant/admm.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "quant/sparsegpt.h"
#include "quant/wanda.h"
#include "tests/quant/random_layer.h"

namespace evopress::quant {
namespace {

using Matrix = Eigen::MatrixXd;

CompressedLayer Compressed(const Compressor& compressor,
                           const LayerContext& layer,
                           const std::string& level) {
  auto made = compressor.Compress(layer, {*search::ParseLevel(level)});
  EXPECT_TRUE(made.ok()) << made.status();
  return made.ok() ? std::move((*made)[0]) : CompressedLayer();
}

// A layer in float64: weights, Gram, and the mask of a compressed weight.
struct Problem {
  Matrix weights, gram, mask;
};

Problem ProblemOf(const RandomLayer& layer, const PackedWeight& made) {
  const auto [rows, cols] = layer.shape;
  Problem problem{Matrix(rows, cols), Matrix(cols, cols), Matrix(rows, cols)};
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      const int64_t i = r * cols + c;
      problem.weights(r, c) = layer.weight[i];
      problem.mask(r, c) = made.positions[i / 8] >> (i % 8) & 1;
    }
  }
  for (int64_t r = 0; r < cols; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      problem.gram(r, c) = layer.gram.values[r * cols + c];
    }
  }
  return problem;
}

// The header's iteration, word by word.
Matrix Oracle(const Problem& problem, int steps) {
  const Eigen::VectorXd norms = problem.gram.diagonal().cwiseSqrt();
  const Matrix weights = problem.weights * norms.asDiagonal();
  const int64_t n = norms.size();
  const Matrix gram = norms.cwiseInverse().asDiagonal() * problem.gram *
                          norms.cwiseInverse().asDiagonal() +
                      kAdmmDamping * Matrix::Identity(n, n);
  const Eigen::LLT<Matrix> ridge(gram + kAdmmRho * Matrix::Identity(n, n));
  Matrix z = problem.mask.cwiseProduct(weights);
  Matrix u = Matrix::Zero(z.rows(), n);
  for (int i = 0; i < steps; ++i) {
    const Matrix v =
        ridge.solve((weights * gram + kAdmmRho * (z - u)).transpose())
            .transpose();
    z = problem.mask.cwiseProduct(v + u);
    u = u + v - z;
  }
  return z * norms.cwiseInverse().asDiagonal();
}

double Error(const Problem& problem, const Matrix& found) {
  const Matrix lost = problem.weights - found;
  return (lost * problem.gram).cwiseProduct(lost).sum();
}

// The least error that weights on this mask can have, row by row.
double LeastError(const Problem& problem) {
  double total = 0;
  for (int64_t r = 0; r < problem.weights.rows(); ++r) {
    std::vector<int> kept;
    for (int64_t c = 0; c < problem.weights.cols(); ++c) {
      if (problem.mask(r, c) > 0) kept.push_back(static_cast<int>(c));
    }
    const Eigen::VectorXd w = problem.weights.row(r);
    const Eigen::VectorXd b = problem.gram * w;
    const Eigen::VectorXd x =
        problem.gram(kept, kept).ldlt().solve(b(kept).eval());
    total += w.dot(b) - x.dot(b(kept).eval());
  }
  return total;
}

Matrix Unpacked(const PackedWeight& weight) {
  std::vector<float> values(weight.rows * weight.cols);
  EXPECT_TRUE(Unpack(weight, absl::MakeSpan(values)).ok());
  Matrix out(weight.rows, weight.cols);
  for (int64_t r = 0; r < weight.rows; ++r) {
    for (int64_t c = 0; c < weight.cols; ++c) {
      out(r, c) = values[r * weight.cols + c];
    }
  }
  return out;
}

TEST(Admm, WeightsAreThoseOfAFloat64Oracle) {
  for (const auto& [rows, cols, level] : {std::tuple{70, 160, "admm:50"},
                                          {64, 320, "admm:75"},
                                          {40, 300, "admm:10"},
                                          {64, 192, "admm:2of4"}}) {
    SCOPED_TRACE(testing::Message() << rows << "x" << cols << " " << level);
    const RandomLayer layer = MakeRandomLayer(cols, rows, cols, 400);
    const PackedWeight made =
        Compressed(AdmmCompressor(), layer.Context(), level).weight;
    const Problem problem = ProblemOf(layer, made);
    const Matrix want = Oracle(problem, kAdmmSteps);
    const Matrix got = Unpacked(made);
    // Weights are stored as float16.
    EXPECT_LT((got - want).norm(), 1e-3 * want.norm());
    const double error = Error(problem, want);
    EXPECT_NEAR(Error(problem, got), error, 0.01 * error);
  }
}

TEST(Admm, MasksAreWandasAndTheErrorIsBelowThatOfSparseGptAndAboveTheLeast) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    const RandomLayer layer = MakeRandomLayer(seed, 64, 192, 300);
    for (const std::string sparsity : {"30", "50", "70", "2of4"}) {
      SCOPED_TRACE(testing::Message() << seed << " " << sparsity);
      const auto wanda =
          Compressed(WandaCompressor(), layer.Context(), "wanda:" + sparsity);
      const auto admm =
          Compressed(AdmmCompressor(), layer.Context(), "admm:" + sparsity);
      const auto sparsegpt = Compressed(SparseGptCompressor(), layer.Context(),
                                        "sparsegpt:" + sparsity);
      EXPECT_EQ(admm.weight.positions, wanda.weight.positions);
      EXPECT_LT(admm.relative_error, 0.8 * wanda.relative_error);
      EXPECT_LE(admm.relative_error, sparsegpt.relative_error);
      const Problem problem = ProblemOf(layer, admm.weight);
      const double least = LeastError(problem);
      const double error = Error(problem, Unpacked(admm.weight));
      EXPECT_GT(error, least);
      RecordProperty("over_least_" + sparsity, std::to_string(error / least));
      std::printf("%s: wanda %.4f admm %.4f sparsegpt %.4f least %.4f\n",
                  sparsity.c_str(), wanda.relative_error, admm.relative_error,
                  sparsegpt.relative_error,
                  least / Error(problem, Matrix::Zero(64, 192)));
    }
  }
}

TEST(Admm, NeverLosesMoreThanMaskingAlone) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    // Fewer tokens than inputs: the Gram is singular, and damping misleads.
    const RandomLayer layer = MakeRandomLayer(seed, 32, 96, 8);
    for (const std::string sparsity : {"20", "60", "90"}) {
      const auto wanda =
          Compressed(WandaCompressor(), layer.Context(), "wanda:" + sparsity);
      const auto admm =
          Compressed(AdmmCompressor(), layer.Context(), "admm:" + sparsity);
      // What float16 adds is of no account.
      EXPECT_LE(admm.relative_error, wanda.relative_error * 1.001 + 1e-6);
    }
  }
}

}  // namespace
}  // namespace evopress::quant
