// Cholesky factor of a covariance, made row by row.
//
// Sums run over fixed lanes in a fixed order, so that equal input gives equal
// bits on every machine.
#ifndef EVOPRESS_SEARCH_CHOLESKY_H_
#define EVOPRESS_SEARCH_CHOLESKY_H_

#include <cstddef>
#include <vector>

namespace evopress::search {

// Sum of a[i] * b[i] over `size` numbers.
double DotProduct(const double* a, const double* b, size_t size);

// Thread-compatible.
class Cholesky {
 public:
  // Row i of the covariance, entries 0…i, for the next i. A pivot that is not
  // positive counts as a tiny one.
  void Append(std::vector<double> row);

  // x with (L L^T) x = right. REQUIRES: as many numbers as rows.
  std::vector<double> Solve(std::vector<double> right) const;

 private:
  std::vector<std::vector<double>> lower_;
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_CHOLESKY_H_
