// Choosing which weights to prune: exactly so many of the least worth.
#ifndef EVOPRESS_QUANT_SMALLEST_H_
#define EVOPRESS_QUANT_SMALLEST_H_

#include <cstdint>

namespace evopress::quant {

// kept[i] = 0 for the `count` smallest of `n` scores, 1 for the others; among
// equal scores the first ones count as smaller. Scores are not negative; NaN
// comes after infinity. Reads the scores 33 times and needs no memory, which
// suits a handful as well as a whole layer. REQUIRES: 0 <= count <= n.
void DropSmallest(const float* scores, int64_t n, int64_t count, uint8_t* kept);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_SMALLEST_H_
