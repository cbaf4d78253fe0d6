// How an incumbent stands, for clients. Pure.
#ifndef EVOPRESS_SERVER_STANDING_H_
#define EVOPRESS_SERVER_STANDING_H_

#include <cstdint>

#include "evopress/v1/jobs.pb.h"
#include "search/strategy.h"

namespace evopress::server {

// Fills in Candidate.calibration and, if known, Candidate.lead. How many tokens
// the lead needs follows from its standard error, which falls with the root of
// their number. REQUIRES: sample_tokens >= 1.
void DescribeStanding(const search::Standing& standing, int64_t sample_tokens,
                      v1::Candidate& candidate);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_STANDING_H_
