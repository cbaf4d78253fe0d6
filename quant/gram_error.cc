#include "quant/gram_error.h"

#include <algorithm>

#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>

#include "quant/grid.h"

namespace evopress::quant {
namespace {

// See gram_factor.cc: inner dimensions up to 128 are never split.
constexpr int64_t kBlock = 128;

using RowMatrixD =
    Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowMatrixF =
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

}  // namespace

double PanelEnergy(const float* panel, int64_t columns, const Gram* gram) {
  const RowMatrixD d =
      Eigen::Map<const RowMatrixF>(panel, columns, kPanelRows).cast<double>();
  if (gram == nullptr) return d.squaredNorm();
  const Eigen::Map<const RowMatrixF> h(gram->values.data(), columns, columns);
  double energy = 0;
  RowMatrixD block;
  RowMatrixD product;
  // H is symmetric: twice the strict lower block triangle and the diagonal
  // blocks once.
  for (int64_t i = 0; i < columns; i += kBlock) {
    const int64_t rows = std::min(kBlock, columns - i);
    product.setZero(rows, kPanelRows);
    for (int64_t j = 0; j < i; j += kBlock) {
      block = h.block(i, j, rows, kBlock).cast<double>();
      product.noalias() += block * d.middleRows(j, kBlock);
    }
    product *= 2.0;
    block = h.block(i, i, rows, rows).cast<double>();
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = r + 1; c < rows; ++c) block(r, c) = block(c, r);
    }
    product.noalias() += block * d.middleRows(i, rows);
    energy += product.cwiseProduct(d.middleRows(i, rows)).sum();
  }
  return energy;
}

}  // namespace evopress::quant
