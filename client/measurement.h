// What `eval` and `compare` share: given assignments measured on given texts.
#ifndef EVOPRESS_CLIENT_MEASUREMENT_H_
#define EVOPRESS_CLIENT_MEASUREMENT_H_

#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "client/job_flags.h"

namespace evopress::client {

struct MeasurementFlags {
  JobFlags job;
  LocalFlags local;
  std::vector<std::string> texts;  // NAME=FILE, measured on
  int64_t tokens = 65536;          // of each text
  bool json = false;
};

void AddMeasurementFlags(CLI::App& app, MeasurementFlags& flags);

// Measures and prints a table whose ratios are to the first of `sources` (see
// assignment_source.h); with no source, the reference alone.
absl::Status RunMeasurement(const MeasurementFlags& flags,
                            const std::vector<std::string>& sources);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_MEASUREMENT_H_
