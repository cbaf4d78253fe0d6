#include "server/explanation.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace evopress::server {
namespace {

// Shorter leases are nobody's concern.
constexpr absl::Duration kLongLease = absl::Minutes(1);

std::string Of(int64_t number, const char* one) {
  return absl::StrCat(number, " ", one, number == 1 ? "" : "s");
}

int64_t At(const std::map<std::string, int64_t>& map, const std::string& key) {
  const auto it = map.find(key);
  return it == map.end() ? 0 : it->second;
}

std::string Classes(const std::map<std::string, int64_t>& connected) {
  std::string text;
  for (const auto& [name, number] : connected) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", number, " of ", name);
  }
  return text;
}

// Of a job that has not ended and is not paused.
class Reasons {
 public:
  Reasons(const v1::Job& job, const LeaseTable::Counts& counts,
          v1::ExplainJobResponse& response)
      : job_(job), counts_(counts), response_(response) {}

  void Tell() {
    const bool work = counts_.queued + counts_.leased + counts_.resting > 0;
    if (job_.numeric_class().empty()) {
      WaitsForClass();
    } else if (counts_.queued > 0) {
      WaitsForWorkers();
    } else if (!work && counts_.audits == 0) {
      Say("nothing of it is with workers: the coordinator takes its next step");
    }
    if (counts_.leased > 0) Works();
    if (counts_.resting > 0) {
      Say(absl::StrCat(Of(counts_.resting, "task"),
                       " will be tried again after a fault; the last: ",
                       counts_.last_fault));
    }
    if (counts_.audits > 0 && !work) {
      Say(absl::StrCat("it waits for a second worker to compute ",
                       Of(counts_.audits, "result"),
                       " again; without one it ends in a while, as unaudited"));
    }
  }

 private:
  void Say(const std::string& reason) { response_.add_reasons(reason); }

  void WaitsForClass() {
    if (counts_.connected.empty()) {
      Say("it waits for a first worker, and none is connected: start one with "
          "evopress-worker --server ADDRESS");
      return;
    }
    Say(absl::StrCat(
        "it waits for a worker that asks for work; connected are ",
        Classes(counts_.connected),
        ". The first one to ask decides the numeric class of the job"));
  }

  void WaitsForWorkers() {
    const std::string& own = job_.numeric_class();
    const int64_t able = At(counts_.connected, own);
    if (able == 0) {
      Say(absl::StrCat(
          Of(counts_.queued, "task"), " wait for a worker of numeric class ",
          own, ", as all measurements of a job must be of one class; ",
          counts_.connected.empty()
              ? std::string("no worker is connected")
              : absl::StrCat("connected are ", Classes(counts_.connected))));
      return;
    }
    const int64_t busy = At(counts_.busy, own);
    Say(absl::StrCat(
        Of(counts_.queued, "task"), " wait in the queue: ", busy, " of ",
        Of(able, "worker"), " of its numeric class are busy",
        counts_.leased == 0 ? " with other jobs, which have their turn or a "
                              "higher priority"
                            : ""));
  }

  void Works() {
    std::string text =
        absl::StrCat(Of(counts_.leased, "task"), " of it are with workers");
    if (counts_.oldest_lease >= kLongLease) {
      absl::StrAppend(&text, ", the longest for ",
                      absl::FormatDuration(
                          absl::Trunc(counts_.oldest_lease, absl::Seconds(1))),
                      " with ", counts_.oldest_worker);
    }
    Say(text);
  }

  const v1::Job& job_;
  const LeaseTable::Counts& counts_;
  v1::ExplainJobResponse& response_;
};

}  // namespace

v1::ExplainJobResponse Explain(const v1::Job& job,
                               const LeaseTable::Counts& counts) {
  v1::ExplainJobResponse response;
  response.set_queued_tasks(counts.queued);
  response.set_leased_tasks(counts.leased);
  response.set_resting_tasks(counts.resting);
  response.set_awaited_audits(counts.audits);
  for (const auto& [name, number] : counts.connected) {
    if (!job.numeric_class().empty() && name != job.numeric_class()) continue;
    response.set_able_workers(response.able_workers() + number);
    response.set_busy_workers(response.busy_workers() + At(counts.busy, name));
  }
  const std::string why =
      job.error().empty() ? "" : absl::StrCat(": ", job.error());
  switch (job.state()) {
    case v1::Job::SUCCEEDED:
      response.add_reasons("it has ended and has a winner");
      break;
    case v1::Job::FAILED:
      response.add_reasons(absl::StrCat(
          "it has failed", why, ". `evopress jobs resume ", job.name(),
          "` takes it up again with all that was measured"));
      break;
    case v1::Job::CANCELLED:
      response.add_reasons("it was cancelled");
      break;
    case v1::Job::PAUSED:
      response.add_reasons(absl::StrCat("it is paused", why,
                                        ". `evopress jobs resume ", job.name(),
                                        "` goes on"));
      if (counts.leased > 0) {
        response.add_reasons(
            absl::StrCat(Of(counts.leased, "task"),
                         " that workers had begun before are still with them"));
      }
      break;
    default:
      Reasons(job, counts, response).Tell();
  }
  return response;
}

}  // namespace evopress::server
