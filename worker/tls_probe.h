// One TLS handshake outside gRPC, which tells that a handshake failed but not
// why.
#ifndef EVOPRESS_WORKER_TLS_PROBE_H_
#define EVOPRESS_WORKER_TLS_PROBE_H_

#include <string>

#include "absl/status/status.h"

namespace evopress::worker {

// Whether something at "host:port" answers a TLS greeting. Waits for at most a
// few seconds.
bool SpeaksTls(const std::string& address);

// Unauthenticated, naming the reason, if our side does not trust the
// certificate there, or theirs not the one we show; FailedPrecondition if
// there is no TLS there; OK if it works or nobody answers. Paths are of PEM
// files and may be empty.
absl::Status ProbeTls(const std::string& address, const std::string& ca,
                      const std::string& certificate, const std::string& key);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_TLS_PROBE_H_
