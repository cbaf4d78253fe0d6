// The one who submits jobs in a simulation: insists until each is
// acknowledged, looks after it, and holds the coordinator to what it said.
#ifndef EVOPRESS_TESTS_FAULT_CLIENT_NODE_H_
#define EVOPRESS_TESTS_FAULT_CLIENT_NODE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "evopress/v1/jobs.pb.h"
#include "tests/fault/network.h"

namespace evopress::fault {

class ClientNode {
 public:
  struct Order {
    v1::JobSpec spec;
    std::string request_id;
    absl::Duration at;       // when it is submitted
    bool cancelled = false;  // called off some time later

    std::string name;  // once acknowledged
    bool cancel_acknowledged = false;
    v1::Job last;  // as last seen
    bool done = false;
  };

  ClientNode(World& world, Network& network)
      : world_(world), network_(network) {
    endpoint_.name = "client";
  }

  // REQUIRES: before Start().
  void Submit(const v1::JobSpec& spec, absl::Duration at, bool cancelled);
  void Start();
  bool AllDone() const;
  const std::vector<std::unique_ptr<Order>>& orders() const { return orders_; }

  double pauses = 0;  // chance that a look at a job pauses it
  void CutOff(bool cut) { endpoint_.cut_off = cut; }

 private:
  void Create(Order& order);
  void Look(Order& order);
  void Seen(Order& order, const v1::Job& job);
  void Cancel(Order& order);
  void Command(Order& order, const std::string& what,
               std::function<absl::StatusOr<v1::Job>(server::Scheduler&)> serve,
               std::function<void(absl::StatusOr<v1::Job>)> done);

  World& world_;
  Network& network_;
  Endpoint endpoint_;
  std::vector<std::unique_ptr<Order>> orders_;
};

}  // namespace evopress::fault

#endif  // EVOPRESS_TESTS_FAULT_CLIENT_NODE_H_
