// A job spec: what passes validation must start, and ask a first round.
#include <cstdlib>
#include <string>

#include "evopress/v1/jobs.pb.h"
#include "proto/conversions.h"
#include "tests/fuzz/message_mutator.h"

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t max_size, unsigned int seed) {
  evopress::v1::JobSpec spec;
  return evopress::fuzz::MutateSerialized(spec, data, size, max_size, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evopress;
  v1::JobSpec spec;
  if (!spec.ParseFromArray(data, static_cast<int>(size))) return 0;
  if (!proto::Validate(spec).ok()) return 0;
  if (!proto::FromProto(spec.space()).ok() ||
      !proto::FromProto(spec.strategy()).ok() || !proto::TargetsOf(spec).ok()) {
    std::abort();
  }
  (void)proto::IdentityBytes(spec);
  return 0;
}
