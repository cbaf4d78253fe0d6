// How the best candidate of a search stands, for people and as JSON: its
// fitness by calibration domain, and how sure its lead is.
#ifndef EVOPRESS_CLIENT_STANDING_TEXT_H_
#define EVOPRESS_CLIENT_STANDING_TEXT_H_

#include <optional>
#include <string>
#include <vector>

#include "evopress/v1/jobs.pb.h"
#include "nlohmann/json.hpp"

namespace evopress::client {

// The incumbent of a running job, the winner of one that has succeeded; with
// several targets that of each, in their order. Empty if there is none yet.
std::vector<const v1::Candidate*> BestsOf(const v1::Job& job);

// Name and value of each calibration domain; empty if nothing is known.
struct DomainValue {
  std::string domain;
  double value = 0;  // mean of the search's metric; may be inf
};
std::vector<DomainValue> CalibrationOf(const v1::Job& job,
                                       const v1::Candidate& candidate);

// "c4 0.1234, code 0.0567", or "".
std::string CalibrationText(const v1::Job& job, const v1::Candidate& candidate);

// "-0.0012 ± 0.0008 a token to the runner-up over 8 sequences (8,192 tokens);
// 14,336 tokens would make it two standard errors", or "".
std::string LeadText(const v1::Candidate& candidate);
// The same for a line: "lead -0.0012 ± 0.0008, 2 s.e. at 14,336 tokens", or "".
std::string ShortLeadText(const v1::Candidate& candidate);

// Both, of BestsOf(job), as lines beneath a table of results; empty if nothing
// is known.
std::string StandingText(const v1::Job& job);

// {"calibration": [{"domain", "fitness"}], "lead": {…} or null}.
nlohmann::json StandingJson(const v1::Job& job, const v1::Candidate& candidate);

// Sets "standing" to that of the best, if there is one; with several targets
// "standings" to a list, where each has its "target" too.
void AddStandings(const v1::Job& job, nlohmann::json& json);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_STANDING_TEXT_H_
