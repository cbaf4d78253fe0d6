#include "tests/fault/client_node.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace evopress::fault {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(10);

bool IsAway(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

void ClientNode::Submit(const v1::JobSpec& spec, absl::Duration at,
                        bool cancelled) {
  auto& order = orders_.emplace_back(std::make_unique<Order>());
  order->spec = spec;
  order->request_id = absl::StrCat("request-", orders_.size());
  order->at = at;
  order->cancelled = cancelled;
}

void ClientNode::Start() {
  for (auto& order : orders_) {
    world_.After(order->at, [this, raw = order.get()] { Create(*raw); });
  }
}

bool ClientNode::AllDone() const {
  return std::all_of(orders_.begin(), orders_.end(),
                     [](const auto& order) { return order->done; });
}

void ClientNode::Command(
    Order&, const std::string& what,
    std::function<absl::StatusOr<v1::Job>(server::Scheduler&)> serve,
    std::function<void(absl::StatusOr<v1::Job>)> done) {
  network_.Ask<v1::Job>(
      endpoint_, what, kDeadline,
      [serve = std::move(serve)](server::Scheduler& scheduler, bool) {
        return std::optional(serve(scheduler));
      },
      std::move(done));
}

void ClientNode::Create(Order& order) {
  v1::CreateJobRequest request;
  request.set_request_id(order.request_id);
  *request.mutable_spec() = order.spec;
  Command(
      order, "CreateJob",
      [request](server::Scheduler& scheduler) {
        return scheduler.CreateJob(request);
      },
      [this, &order](absl::StatusOr<v1::Job> answer) {
        if (!answer.ok()) {
          if (!IsAway(answer.status()) &&
              !absl::IsResourceExhausted(answer.status())) {
            world_.Violate(absl::StrCat("CreateJob is refused: ",
                                        answer.status().ToString()));
          }
          world_.After(world_.Between(absl::Seconds(1), absl::Seconds(5)),
                       [this, &order] { Create(order); });
          return;
        }
        world_.Trace("client: ", order.request_id, " is ", answer->name());
        order.name = answer->name();
        if (order.cancelled) {
          world_.After(world_.Between(absl::Seconds(1), absl::Seconds(60)),
                       [this, &order] { Cancel(order); });
        }
        Look(order);
      });
}

void ClientNode::Cancel(Order& order) {
  Command(
      order, "CancelJob",
      [name = order.name](server::Scheduler& scheduler) {
        return scheduler.CancelJob(name);
      },
      [this, &order](absl::StatusOr<v1::Job> answer) {
        if (answer.ok()) {
          world_.Trace("client: ", order.name, " is cancelled");
          order.cancel_acknowledged = true;
        } else if (absl::IsFailedPrecondition(answer.status())) {
          order.cancelled = false;  // it was faster
        } else {
          world_.After(absl::Seconds(5), [this, &order] { Cancel(order); });
        }
      });
}

void ClientNode::Look(Order& order) {
  Command(
      order, "GetJob",
      [name = order.name](server::Scheduler& scheduler) {
        return scheduler.GetJob(name);
      },
      [this, &order](absl::StatusOr<v1::Job> answer) {
        if (answer.ok()) {
          Seen(order, *answer);
        } else if (!IsAway(answer.status())) {
          world_.Violate(
              absl::StrCat("the acknowledged job ", order.name,
                           " is gone: ", answer.status().ToString()));
        }
        if (order.done) return;
        world_.After(world_.Between(absl::Seconds(5), absl::Seconds(30)),
                     [this, &order] { Look(order); });
      });
}

void ClientNode::Seen(Order& order, const v1::Job& job) {
  order.last = job;
  const auto ignore = [](absl::StatusOr<v1::Job>) {};
  switch (job.state()) {
    case v1::Job::FAILED:
      world_.Violate(absl::StrCat(order.name, " has failed: ", job.error()));
      break;
    case v1::Job::SUCCEEDED:
      // An answer may be older than the cancellation.
      order.done = !order.cancelled;
      break;
    case v1::Job::CANCELLED:
      if (!order.cancelled) {
        world_.Violate(absl::StrCat(order.name, " was not to be cancelled"));
      }
      order.done = order.cancel_acknowledged;
      break;
    case v1::Job::PAUSED:
      Command(
          order, "ResumeJob",
          [name = order.name](server::Scheduler& scheduler) {
            return scheduler.ResumeJob(name);
          },
          ignore);
      break;
    default:
      if (!world_.Chance(pauses)) break;
      world_.Trace("client: pauses ", order.name);
      Command(
          order, "PauseJob",
          [name = order.name](server::Scheduler& scheduler) {
            return scheduler.PauseJob(name);
          },
          ignore);
  }
}

}  // namespace evopress::fault
