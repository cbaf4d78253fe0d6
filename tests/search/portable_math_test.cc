#include "search/portable_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "search/cholesky.h"
#include "search/rng.h"

namespace evopress::search {
namespace {

TEST(PortableMath, AgreesWithTheCLibrary) {
  Rng rng(1);
  for (int i = 0; i < 10000; ++i) {
    const double x = 1400 * rng.Uniform() - 700;
    EXPECT_NEAR(PortableExp(x) / std::exp(x), 1, 1e-13) << x;
    const double y = std::exp(x);
    EXPECT_NEAR(PortableLog(y), std::log(y),
                1e-14 * (1 + std::abs(std::log(y))));
  }
  EXPECT_EQ(PortableExp(0), 1);
  EXPECT_EQ(PortableLog(1), 0);
}

TEST(PortableMath, ClampsWhatWouldNotBeFinite) {
  const double infinite = std::numeric_limits<double>::infinity();
  EXPECT_EQ(PortableExp(infinite), PortableExp(700));
  EXPECT_EQ(PortableExp(-infinite), PortableExp(-700));
  EXPECT_EQ(PortableExp(std::nan("")), 0);
}

TEST(Cholesky, SolvesWithTheCovarianceOfItsRows) {
  constexpr size_t kSize = 37;
  Rng rng(2);
  std::vector<std::vector<double>> root(kSize, std::vector<double>(kSize));
  for (auto& row : root) {
    for (double& each : row) each = rng.Normal();
  }
  std::vector<std::vector<double>> covariance(kSize,
                                              std::vector<double>(kSize));
  Cholesky factor;
  for (size_t i = 0; i < kSize; ++i) {
    for (size_t j = 0; j < kSize; ++j) {
      covariance[i][j] = i == j;
      for (size_t k = 0; k < kSize; ++k) {
        covariance[i][j] += root[i][k] * root[j][k];
      }
    }
    factor.Append({covariance[i].begin(), covariance[i].begin() + i + 1});
  }
  std::vector<double> wanted(kSize), right(kSize);
  for (double& each : wanted) each = rng.Normal();
  for (size_t i = 0; i < kSize; ++i) {
    for (size_t j = 0; j < kSize; ++j) right[i] += covariance[i][j] * wanted[j];
  }
  const std::vector<double> found = factor.Solve(right);
  for (size_t i = 0; i < kSize; ++i) EXPECT_NEAR(found[i], wanted[i], 1e-9);
}

}  // namespace
}  // namespace evopress::search
