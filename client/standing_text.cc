#include "client/standing_text.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/text_table.h"

namespace evopress::client {
namespace {

std::vector<std::string> DomainNames(const v1::JobSpec& spec) {
  std::vector<std::string> names;
  for (const auto& domain : spec.calibration().domains()) {
    names.push_back(domain.name());
  }
  if (!names.empty()) return names;
  for (const auto& set : spec.data()) {
    if (set.role() == v1::TokenSetRef::SEARCH) names.push_back(set.domain());
  }
  return names;
}

std::string Difference(const v1::Lead& lead) {
  return absl::StrFormat("%+.2g ± %.2g", lead.difference(),
                         lead.standard_error());
}

}  // namespace

const v1::Candidate* BestOf(const v1::Job& job) {
  if (job.has_incumbent()) return &job.incumbent();
  for (const auto& candidate : job.results()) {
    if (candidate.name() == "winner") return &candidate;
  }
  return nullptr;
}

std::vector<DomainValue> CalibrationOf(const v1::Job& job,
                                       const v1::Candidate& candidate) {
  const std::vector<std::string> names = DomainNames(job.spec());
  std::vector<DomainValue> values;
  if (static_cast<int>(names.size()) != candidate.calibration_size()) return {};
  for (size_t d = 0; d < names.size(); ++d) {
    values.push_back({names[d], candidate.calibration(static_cast<int>(d))});
  }
  return values;
}

std::string CalibrationText(const v1::Job& job,
                            const v1::Candidate& candidate) {
  return absl::StrJoin(CalibrationOf(job, candidate), ", ",
                       [](std::string* out, const DomainValue& value) {
                         absl::StrAppend(out, value.domain, " ",
                                         FormatFixed(value.value, 4));
                       });
}

std::string LeadText(const v1::Candidate& candidate) {
  if (!candidate.has_lead()) return "";
  const v1::Lead& lead = candidate.lead();
  const std::string text = absl::StrCat(
      Difference(lead), " a token to the runner-up over ", lead.sequences(),
      " sequences (", FormatCount(lead.tokens()), " tokens); ");
  if (lead.needed_tokens() == 0) {
    return absl::StrCat(text, "no number of tokens would tell them apart");
  }
  return absl::StrCat(text, FormatCount(lead.needed_tokens()),
                      " tokens would make it two standard errors");
}

std::string ShortLeadText(const v1::Candidate& candidate) {
  if (!candidate.has_lead()) return "";
  const v1::Lead& lead = candidate.lead();
  const std::string text = absl::StrCat("lead ", Difference(lead));
  if (lead.needed_tokens() == 0) return text;
  return absl::StrCat(text, ", 2 s.e. at ", FormatCount(lead.needed_tokens()),
                      " tokens");
}

std::string StandingText(const v1::Job& job, const v1::Candidate& candidate) {
  std::string text;
  if (const std::string values = CalibrationText(job, candidate);
      !values.empty()) {
    absl::StrAppend(&text,
                    "On the calibration texts, as last searched on: ", values,
                    ".\n");
  }
  if (const std::string lead = LeadText(candidate); !lead.empty()) {
    absl::StrAppend(&text, "Lead: ", lead, ".\n");
  }
  return text;
}

nlohmann::json StandingJson(const v1::Job& job,
                            const v1::Candidate& candidate) {
  nlohmann::json calibration = nlohmann::json::array();
  for (const DomainValue& value : CalibrationOf(job, candidate)) {
    calibration.push_back({{"domain", value.domain}, {"fitness", nullptr}});
    if (std::isfinite(value.value)) calibration.back()["fitness"] = value.value;
  }
  nlohmann::json json = {{"calibration", calibration}, {"lead", nullptr}};
  if (candidate.has_lead()) {
    const v1::Lead& lead = candidate.lead();
    json["lead"] = {{"difference", lead.difference()},
                    {"standard_error", lead.standard_error()},
                    {"sequences", lead.sequences()},
                    {"tokens", lead.tokens()},
                    {"tokens_for_two_standard_errors", nullptr}};
    if (lead.needed_tokens() > 0) {
      json["lead"]["tokens_for_two_standard_errors"] = lead.needed_tokens();
    }
  }
  return json;
}

}  // namespace evopress::client
