#include "server/standing.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace evopress::server {
namespace {

// Standard errors that a difference must be worth to be believed.
constexpr double kBelievable = 2;

int64_t NeededTokens(const search::PairedDifference& lead,
                     int64_t sample_tokens) {
  if (lead.mean == 0) return 0;
  const double ratio = kBelievable / lead.mean;
  const double samples =
      std::max(1.0, std::ceil(ratio * ratio * lead.variance));
  const double tokens = samples * static_cast<double>(sample_tokens);
  // 2^63 is a double, the greatest int64 is not.
  return tokens < 0x1p63 ? static_cast<int64_t>(tokens)
                         : std::numeric_limits<int64_t>::max();
}

}  // namespace

void DescribeStanding(const search::Standing& standing, int64_t sample_tokens,
                      v1::Candidate& candidate) {
  candidate.mutable_calibration()->Assign(standing.domains.begin(),
                                          standing.domains.end());
  candidate.clear_lead();
  if (!standing.lead.has_value()) return;
  const search::PairedDifference& difference = *standing.lead;
  v1::Lead& lead = *candidate.mutable_lead();
  lead.set_difference(difference.mean);
  lead.set_standard_error(std::sqrt(difference.variance / difference.samples));
  lead.set_sequences(difference.samples);
  lead.set_tokens(difference.samples * sample_tokens);
  lead.set_needed_tokens(NeededTokens(difference, sample_tokens));
}

}  // namespace evopress::server
