// The report of a search as one HTML page that needs nothing else: no scripts,
// no files, no network.
#ifndef EVOPRESS_CLIENT_REPORT_HTML_H_
#define EVOPRESS_CLIENT_REPORT_HTML_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/export_input.h"
#include "client/search_story.h"

namespace evopress::client {

// How loss fell over tokens, the levels of all layers, results with error
// bars, costs against budgets, every round, and the provenance. `input`: the
// winner of the job, or its incumbent. Names of jobs, layers and files are
// text, whatever they contain.
absl::StatusOr<std::string> WriteReport(const ExportInput& input,
                                        const SearchStory& story);

// The same for all budgets of one job, with a table of them that says where
// the search found nothing better than a plain solution. REQUIRES: at least
// one, of one job.
absl::StatusOr<std::string> WriteReport(const std::vector<ExportInput>& inputs,
                                        const SearchStory& story);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_REPORT_HTML_H_
