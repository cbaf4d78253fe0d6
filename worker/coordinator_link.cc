#include "worker/coordinator_link.h"

#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "absl/time/clock.h"

namespace evopress::worker {
namespace {

constexpr absl::Duration kProbe = absl::Seconds(2);
constexpr int kKeepaliveMs = 5'000;
constexpr int kKeepaliveTimeoutMs = 3'000;
constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";
// HealthCheckResponse{status: SERVING}
constexpr char kServing[] = "\x08\x01";

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// Asks several coordinators at once whether they serve.
class Census {
 public:
  explicit Census(size_t count) : probes_(count), left_(count) {}

  void Ask(size_t i, std::shared_ptr<grpc::Channel> channel) {
    Probe& probe = probes_[i];
    probe.stub = std::make_unique<grpc::GenericStub>(std::move(channel));
    probe.context.set_deadline(absl::ToChronoTime(absl::Now() + kProbe));
    // A coordinator that is just coming up is waited for.
    probe.context.set_wait_for_ready(true);
    const grpc::Slice empty("");
    probe.request = grpc::ByteBuffer(&empty, 1);
    probe.stub->UnaryCall(
        &probe.context, kHealthCheck, grpc::StubOptions(), &probe.request,
        &probe.response, [this, &probe](grpc::Status status) {
          const bool serves =
              status.ok() && BytesOf(probe.response) == kServing;
          std::lock_guard<std::mutex> lock(mutex_);
          probe.serves = serves;
          --left_;
          changed_.notify_all();
        });
  }

  // The first in order that serves; `otherwise` if none does.
  size_t Find(size_t otherwise) {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto serves = [](const Probe& probe) { return probe.serves; };
    changed_.wait(lock, [&] {
      return left_ == 0 || std::any_of(probes_.begin(), probes_.end(), serves);
    });
    const auto found = std::find_if(probes_.begin(), probes_.end(), serves);
    for (Probe& probe : probes_) probe.context.TryCancel();
    changed_.wait(lock, [&] { return left_ == 0; });
    return found == probes_.end()
               ? otherwise
               : static_cast<size_t>(found - probes_.begin());
  }

 private:
  struct Probe {
    std::unique_ptr<grpc::GenericStub> stub;
    grpc::ClientContext context;
    grpc::ByteBuffer request, response;
    bool serves = false;  // guarded by mutex_
  };
  std::vector<Probe> probes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t left_;  // guarded by mutex_
};

}  // namespace

CoordinatorLink::End CoordinatorLink::EndOf(
    std::shared_ptr<grpc::Channel> channel) {
  return {channel, v1::Jobs::NewStub(channel), v1::Workers::NewStub(channel),
          v1::Artifacts::NewStub(channel)};
}

CoordinatorLink::CoordinatorLink(std::shared_ptr<grpc::Channel> channel) {
  ends_.push_back(EndOf(std::move(channel)));
}

absl::StatusOr<std::shared_ptr<CoordinatorLink>> CoordinatorLink::Open(
    const CoordinatorAddress& to, grpc::ChannelArguments arguments) {
  const std::vector<CoordinatorAddress> all = EachAddress(to);
  if (all.size() > 1) {
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  }
  std::vector<End> ends;
  for (const CoordinatorAddress& one : all) {
    auto channel = OpenCoordinatorChannel(one, arguments);
    if (!channel.ok()) return channel.status();
    ends.push_back(EndOf(*std::move(channel)));
  }
  return std::shared_ptr<CoordinatorLink>(new CoordinatorLink(std::move(ends)));
}

void CoordinatorLink::Heed(grpc::StatusCode code) {
  if (ends_.size() < 2 || (code != grpc::StatusCode::UNAVAILABLE &&
                           code != grpc::StatusCode::DEADLINE_EXCEEDED)) {
    return;
  }
  Census census(ends_.size());
  for (size_t i = 0; i < ends_.size(); ++i) census.Ask(i, ends_[i].channel);
  current_ = census.Find(current_);
}

}  // namespace evopress::worker
