// Assignments named on the command line of `eval` and `compare`.
#ifndef EVOPRESS_CLIENT_ASSIGNMENT_SOURCE_H_
#define EVOPRESS_CLIENT_ASSIGNMENT_SOURCE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/job_plan.h"
#include "client/outer_units.h"
#include "quant/checkpoint.h"

namespace evopress::client {

// The text of `source`, which is one of
//   uniform:LEVEL  every layer of `model` that is searched under `outer` at
//                  LEVEL ("3", or a full name as "gptq:b3:g64:asym", which is
//                  an embedding's own level instead where OuterMenu() says so)
//   NAME=PATH      the same as PATH, called NAME
//   PATH           a text file of "layer: level" lines, or a directory that
//                  `evopress search` or `export` wrote
// It is called "uniform 3-bit", NAME, or the last part of PATH.
absl::StatusOr<NamedText> ReadAssignmentSource(const std::string& source,
                                               const quant::Checkpoint& model,
                                               const OuterRule& outer);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_ASSIGNMENT_SOURCE_H_
