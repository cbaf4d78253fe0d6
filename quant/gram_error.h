// The layer error that quantizers minimize: tr(D H D^T).
#ifndef EVOPRESS_QUANT_GRAM_ERROR_H_
#define EVOPRESS_QUANT_GRAM_ERROR_H_

#include <cstdint>

#include "quant/gram.h"

namespace evopress::quant {

// Sum over the rows d of a panel (see grid.h) of d H d^T, all in float64; with
// no Gram, H = I. Reads the lower triangle of the Gram only. `columns` equals
// gram->n. Thread-safe; the bits depend on the arguments only.
double PanelEnergy(const float* panel, int64_t columns, const Gram* gram);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_GRAM_ERROR_H_
