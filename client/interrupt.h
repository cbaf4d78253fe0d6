// Ctrl-C and SIGTERM as a flag, so that a command can end in good order.
#ifndef EVOPRESS_CLIENT_INTERRUPT_H_
#define EVOPRESS_CLIENT_INTERRUPT_H_

#include <atomic>

namespace evopress::client {

// Installs the handlers on first use and returns the flag that the first
// signal sets. A second signal ends the process at once (the journal is made
// for that). Lives for ever.
const std::atomic<bool>& Interrupted();

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_INTERRUPT_H_
