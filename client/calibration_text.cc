#include "client/calibration_text.h"

#include <cmath>
#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "search/sample_domains.h"

namespace evopress::client {
namespace {

absl::StatusOr<CalibrationText> ParseOne(const std::string& text) {
  const size_t colon = text.rfind(':');
  CalibrationText parsed;
  parsed.file = ParseNamedFile(text.substr(0, colon));
  if (colon != std::string::npos) {
    const std::string weight = text.substr(colon + 1);
    if (!absl::SimpleAtod(weight, &parsed.weight) ||
        !std::isfinite(parsed.weight) || !(parsed.weight > 0)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "calibration text \"", text, "\": the weight \"", weight,
          "\" is not a positive number; write FILE:0.6, also if the file's "
          "name has a colon itself"));
    }
  }
  if (parsed.file.name.empty() || parsed.file.path.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("calibration text \"", text,
                     "\" names no file; write [NAME=]FILE[:WEIGHT]"));
  }
  return parsed;
}

}  // namespace

NamedFile ParseNamedFile(const std::string& text) {
  const size_t equals = text.find('=');
  // A name has no "/": "a/b=c.txt" is a path.
  if (equals != std::string::npos && equals > 0 &&
      text.substr(0, equals).find('/') == std::string::npos) {
    return {text.substr(0, equals), text.substr(equals + 1)};
  }
  return {std::filesystem::path(text).stem().string(), text};
}

absl::StatusOr<std::vector<CalibrationText>> ParseCalibration(
    const std::vector<std::string>& texts) {
  if (texts.size() > search::kMaxDomains) {
    return absl::InvalidArgumentError(
        absl::StrCat(texts.size(), " calibration texts; at most ",
                     search::kMaxDomains, " are possible"));
  }
  std::vector<CalibrationText> parsed;
  std::set<std::string> names;
  double total = 0;
  for (const std::string& text : texts) {
    auto one = ParseOne(text);
    if (!one.ok()) return one.status();
    if (!names.insert(one->file.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("two calibration texts are called \"", one->file.name,
                       "\"; name them, e.g. --calibration ", one->file.name,
                       "2=", one->file.path, ":", one->weight));
    }
    total += one->weight;
    parsed.push_back(*std::move(one));
  }
  if (!std::isfinite(total)) {
    return absl::InvalidArgumentError(
        "the weights of the calibration texts are too large to be added");
  }
  for (CalibrationText& text : parsed) text.weight /= total;
  return parsed;
}

}  // namespace evopress::client
