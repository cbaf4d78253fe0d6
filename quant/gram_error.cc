#include "quant/gram_error.h"

#include <algorithm>

#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>

#include "quant/grid.h"

namespace evopress::quant {
namespace {

// See gram_factor.cc: inner dimensions up to 128 are never split.
constexpr int64_t kBlock = 128;

using RowMatrix =
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

}  // namespace

double PanelEnergy(const float* panel, int64_t columns, const Gram* gram) {
  const Eigen::Map<const RowMatrix> d(panel, columns, kPanelRows);
  if (gram == nullptr) return d.cast<double>().squaredNorm();
  const Eigen::Map<const RowMatrix> h(gram->values.data(), columns, columns);
  double energy = 0;
  RowMatrix product;
  // H is symmetric: twice the strict lower block triangle and the diagonal
  // blocks once. Each block's share is added up in float64, so that rounding
  // does not grow with the number of blocks.
  for (int64_t i = 0; i < columns; i += kBlock) {
    const int64_t rows = std::min(kBlock, columns - i);
    const auto left = d.middleRows(i, rows);
    const auto add = [&](double times) {
      energy += times *
                product.cast<double>().cwiseProduct(left.cast<double>()).sum();
    };
    product.resize(rows, kPanelRows);
    for (int64_t j = 0; j < i; j += kBlock) {
      product.noalias() = h.block(i, j, rows, kBlock) * d.middleRows(j, kBlock);
      add(2);
    }
    RowMatrix diagonal = h.block(i, i, rows, rows);
    diagonal.triangularView<Eigen::StrictlyUpper>() = diagonal.transpose();
    product.noalias() = diagonal * left;
    add(1);
  }
  return energy;
}

}  // namespace evopress::quant
