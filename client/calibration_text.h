// Texts to calibrate on, as the command line names them.
#ifndef EVOPRESS_CLIENT_CALIBRATION_TEXT_H_
#define EVOPRESS_CLIENT_CALIBRATION_TEXT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace evopress::client {

// "wiki=a/b.txt" -> {"wiki", "a/b.txt"}; "a/b.txt" -> {"b", "a/b.txt"}.
struct NamedFile {
  std::string name;
  std::string path;
};
NamedFile ParseNamedFile(const std::string& text);

struct CalibrationText {
  NamedFile file;
  double weight = 1;
};

// Each is [NAME=]FILE[:WEIGHT]; without a weight, 1. Weights are normalized.
// InvalidArgument for a weight that is not a positive number, for two texts of
// one name and for more than search::kMaxDomains texts.
absl::StatusOr<std::vector<CalibrationText>> ParseCalibration(
    const std::vector<std::string>& texts);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_CALIBRATION_TEXT_H_
