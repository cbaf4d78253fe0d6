// Messages <-> domain types, with validation: nothing that a peer sends gets
// past this file unchecked. All functions are pure and thread-safe.
#ifndef EVOPRESS_PROTO_CONVERSIONS_H_
#define EVOPRESS_PROTO_CONVERSIONS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "evopress/v1/jobs.pb.h"
#include "evopress/v1/tasks.pb.h"
#include "search/space.h"
#include "search/strategy.h"
#include "search/strategy_options.h"

namespace evopress::proto {

v1::SearchSpace ToProto(const search::SearchSpace& space);
absl::StatusOr<search::SearchSpace> FromProto(const v1::SearchSpace& message);

v1::Assignment ToProto(const search::Assignment& assignment);
// InvalidArgument unless the bytes have even length. Does not know the space:
// follow with search::Validate.
absl::StatusOr<search::Assignment> FromProto(const v1::Assignment& message);
std::string PackLevels(const search::Assignment& assignment);
absl::StatusOr<search::Assignment> UnpackLevels(const std::string& bytes);

v1::StrategySpec ToProto(const search::StrategyOptions& options);
absl::StatusOr<search::StrategyOptions> FromProto(
    const v1::StrategySpec& message);

// InvalidArgument for names that are unfit for a directory.
absl::StatusOr<std::vector<search::Target>> TargetsOf(const v1::JobSpec& spec);

v1::SampleSums ToProto(const search::SampleSums& sums);
// InvalidArgument for negative or zero positions.
absl::StatusOr<search::SampleSums> FromProto(const v1::SampleSums& message);

// What a strategy is told of the spec beside space and errors: seed, samples
// and their domains. Checks nothing: search::MakeStrategy does.
void ReadSamples(const v1::JobSpec& spec, search::StrategyInput& input);

// The same bytes for equal messages, on every machine of one protobuf version.
std::string DeterministicBytes(const google::protobuf::MessageLite& message);

// The canonical bytes of a job spec without what is only for people (names and
// labels): equal for jobs that compute and report the same.
std::string IdentityBytes(v1::JobSpec spec);

// True for 64 lower-case hex digits.
bool IsSha256(const std::string& text);

// Model files have plain names: no "/", "..", control characters, or names
// longer than 255 bytes; sizes and hashes well-formed; `hash` covers them.
absl::Status Validate(const v1::ModelRef& model);

absl::Status Validate(const v1::TokenSetRef& set);

// The whole spec, budgets' reachability and the strategy's own checks
// included. Names the field at fault.
absl::Status Validate(const v1::JobSpec& spec);

}  // namespace evopress::proto

#endif  // EVOPRESS_PROTO_CONVERSIONS_H_
