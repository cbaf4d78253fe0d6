// The flags that say where the coordinator is, the same for `evopress` and
// `evopress-worker`.
#ifndef EVOPRESS_WORKER_CHANNEL_FLAGS_H_
#define EVOPRESS_WORKER_CHANNEL_FLAGS_H_

#include <CLI/CLI.hpp>

#include "worker/coordinator_channel.h"

namespace evopress::worker {

// --server, --tls-ca, --tls-cert, --tls-key, --token-file, --insecure; each
// but the last may come from the environment, as may the token itself
// (EVOPRESS_TOKEN): on a command line, others of the machine could read it.
void AddChannelFlags(CLI::App& app, CoordinatorAddress& to);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_CHANNEL_FLAGS_H_
