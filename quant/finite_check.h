// quant/finite_check.h
// Finds values that no weight may have.

#ifndef EVOPRESS_QUANT_FINITE_CHECK_H_
#define EVOPRESS_QUANT_FINITE_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace evopress::quant {

// DataLoss, naming `name` and the index of the first NaN or infinity.
absl::Status CheckFinite(const std::string& name,
                         absl::Span<const float> values);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_FINITE_CHECK_H_
