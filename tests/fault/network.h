// A network that loses, doubles, delays and reorders, between the coordinator
// and its peers.
#ifndef EVOPRESS_TESTS_FAULT_NETWORK_H_
#define EVOPRESS_TESTS_FAULT_NETWORK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/fault/coordinator_node.h"
#include "tests/fault/world.h"

namespace evopress::fault {

// One end of the network. What is under way when it dies is never answered.
struct Endpoint {
  std::string name;
  int64_t incarnation = 0;
  bool cut_off = false;
  absl::Time paused_until = absl::InfinitePast();
};

struct NetworkFaults {
  double lose = 0;    // a message vanishes
  double twice = 0;   // a request arrives twice
  double linger = 0;  // a message takes up to `longest`
  absl::Duration longest = absl::Seconds(60);
};

class Network {
 public:
  Network(World& world, CoordinatorNode& coordinator)
      : world_(world), coordinator_(coordinator) {}

  NetworkFaults faults;

  bool Reaches(const Endpoint& from) const {
    return !from.cut_off && coordinator_.up() &&
           world_.now() >= coordinator_.paused_until();
  }

  // Calls `serve` at the coordinator and `done` with what comes back, once,
  // unless `from` has died. `serve` may return nullopt until `wait` is over
  // (a long poll). `from` must outlive the simulation.
  template <typename Response>
  void Ask(Endpoint& from, const std::string& what, absl::Duration deadline,
           std::function<std::optional<absl::StatusOr<Response>>(
               server::Scheduler&, bool last)>
               serve,
           std::function<void(absl::StatusOr<Response>)> done,
           absl::Duration wait = absl::ZeroDuration()) {
    auto call = std::make_shared<Pending<Response>>();
    call->from = &from;
    call->incarnation = from.incarnation;
    call->what = what;
    call->serve = std::move(serve);
    call->done = std::move(done);
    call->wait = wait;
    world_.After(deadline, [this, call] {
      Answer<Response>(call, absl::DeadlineExceededError(call->what));
    });
    const int copies = world_.Chance(faults.twice) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      if (Lost(call)) continue;
      world_.After(Latency(), [this, call] { Arrive(call); });
    }
  }

 private:
  template <typename Response>
  struct Pending {
    Endpoint* from;
    int64_t incarnation;
    std::string what;
    std::function<std::optional<absl::StatusOr<Response>>(server::Scheduler&,
                                                          bool)>
        serve;
    std::function<void(absl::StatusOr<Response>)> done;
    absl::Duration wait;
    bool answered = false;
  };

  absl::Duration Latency() {
    if (world_.Chance(faults.linger)) {
      return world_.Between(absl::ZeroDuration(), faults.longest);
    }
    return world_.Between(absl::Milliseconds(1), absl::Milliseconds(50));
  }

  // A lost message breaks the connection: mostly that is noticed.
  template <typename Response>
  bool Lost(const std::shared_ptr<Pending<Response>>& call) {
    if (!call->from->cut_off && !world_.Chance(faults.lose)) return false;
    world_.Trace(call->from->name, ": ", call->what, " is lost");
    if (world_.Chance(0.5)) {
      world_.After(Latency(), [this, call] {
        Answer<Response>(call, absl::UnavailableError("connection lost"));
      });
    }
    return true;
  }

  template <typename Response>
  void Arrive(const std::shared_ptr<Pending<Response>>& call) {
    if (call->from->cut_off) return;
    if (!coordinator_.up()) {
      Refuse(call);
      return;
    }
    if (world_.now() < coordinator_.paused_until()) {
      world_.After(coordinator_.paused_until() - world_.now(),
                   [this, call] { Arrive(call); });
      return;
    }
    const absl::Time end = world_.now() + call->wait;
    coordinator_.Poll(
        [this, call, end](server::Scheduler& scheduler) {
          auto response = call->serve(scheduler, world_.now() >= end);
          if (!response.has_value()) return false;
          if (!Lost(call)) {
            world_.After(Latency(),
                         [this, call, answer = *std::move(response)] {
                           if (!call->from->cut_off) Answer(call, answer);
                         });
          }
          return true;
        },
        [this, call] { Refuse(call); });
  }

  template <typename Response>
  void Refuse(const std::shared_ptr<Pending<Response>>& call) {
    if (world_.Chance(0.3)) return;  // silence until the deadline
    world_.After(Latency(), [this, call] {
      Answer<Response>(call, absl::UnavailableError("connection refused"));
    });
  }

  template <typename Response>
  void Answer(const std::shared_ptr<Pending<Response>>& call,
              absl::StatusOr<Response> answer) {
    Endpoint& to = *call->from;
    if (call->answered || to.incarnation != call->incarnation) return;
    if (world_.now() < to.paused_until) {
      world_.After(to.paused_until - world_.now(),
                   [this, call, answer] { Answer(call, answer); });
      return;
    }
    call->answered = true;
    call->done(std::move(answer));
  }

  World& world_;
  CoordinatorNode& coordinator_;
};

}  // namespace evopress::fault

#endif  // EVOPRESS_TESTS_FAULT_NETWORK_H_
