#include "client/interrupt.h"

#include <signal.h>
#include <unistd.h>

namespace evopress::client {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void OnSignal(int) {
  if (interrupted.exchange(true)) _exit(1);
}

}  // namespace

const std::atomic<bool>& Interrupted() {
  static const bool installed = [] {
    struct sigaction action = {};
    action.sa_handler = OnSignal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    return true;
  }();
  (void)installed;
  return interrupted;
}

}  // namespace evopress::client
