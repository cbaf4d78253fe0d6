#include "search/cholesky.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <utility>

namespace evopress::search {
namespace {

constexpr double kLeastPivot = 1e-300;

}  // namespace

double DotProduct(const double* a, const double* b, size_t size) {
  constexpr size_t kLanes = 8;
  using Lanes = Eigen::Array<double, kLanes, 1>;
  Lanes sums = Lanes::Zero();
  size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    sums += Eigen::Map<const Lanes>(a + i) * Eigen::Map<const Lanes>(b + i);
  }
  double sum = 0;
  for (; i < size; ++i) sum += a[i] * b[i];
  for (size_t lane = 0; lane < kLanes; ++lane) {
    sum += sums[static_cast<Eigen::Index>(lane)];
  }
  return sum;
}

void Cholesky::Append(std::vector<double> row) {
  const size_t i = lower_.size();
  for (size_t j = 0; j < i; ++j) {
    const std::vector<double>& other = lower_[j];
    row[j] = (row[j] - DotProduct(row.data(), other.data(), j)) / other[j];
  }
  const double square = row[i] - DotProduct(row.data(), row.data(), i);
  row[i] = std::sqrt(std::max(square, kLeastPivot));
  lower_.push_back(std::move(row));
}

std::vector<double> Cholesky::Solve(std::vector<double> x) const {
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = (x[i] - DotProduct(lower_[i].data(), x.data(), i)) / lower_[i][i];
  }
  for (size_t i = x.size(); i-- > 0;) {
    x[i] /= lower_[i][i];
    for (size_t k = 0; k < i; ++k) x[k] -= lower_[i][k] * x[i];
  }
  return x;
}

}  // namespace evopress::search
