#include "server/metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace evopress::server {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily Family(const char* name, const char* help, MetricType type) {
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  return family;
}

MetricFamily Gauge(const char* name, const char* help, int64_t value) {
  MetricFamily family = Family(name, help, MetricType::Gauge);
  family.metric.emplace_back().gauge.value = static_cast<double>(value);
  return family;
}

MetricFamily Counter(const char* name, const char* help, int64_t value) {
  MetricFamily family = Family(name, help, MetricType::Counter);
  family.metric.emplace_back().counter.value = static_cast<double>(value);
  return family;
}

void AddLabelled(MetricFamily& family, const char* label,
                 const std::string& value, int64_t number) {
  ClientMetric& metric = family.metric.emplace_back();
  metric.label.push_back({label, value});
  metric.gauge.value = static_cast<double>(number);
}

MetricFamily Histogram(const char* name, const char* help,
                       const Distribution& distribution) {
  MetricFamily family = Family(name, help, MetricType::Histogram);
  ClientMetric::Histogram& histogram = family.metric.emplace_back().histogram;
  histogram.sample_count = static_cast<uint64_t>(distribution.count());
  histogram.sample_sum = distribution.sum();
  uint64_t below = 0;
  for (size_t i = 0; i < distribution.counts().size(); ++i) {
    below += static_cast<uint64_t>(distribution.counts()[i]);
    histogram.bucket.push_back(
        {below, i < Distribution::kBounds.size()
                    ? Distribution::kBounds[i]
                    : std::numeric_limits<double>::infinity()});
  }
  return family;
}

int64_t Sum(const std::map<std::string, int64_t>& map) {
  int64_t sum = 0;
  for (const auto& [key, value] : map) sum += value;
  return sum;
}

class Collector : public prometheus::Collectable {
 public:
  explicit Collector(std::function<Figures()> figures)
      : figures_(std::move(figures)) {}

  std::vector<MetricFamily> Collect() const override {
    const Figures now = figures_();
    const LeaseTable::Counts& work = now.work;
    std::vector<MetricFamily> all = {
        Gauge("evopress_tasks_queued", "Tasks that wait for a worker",
              work.queued),
        Gauge("evopress_tasks_leased", "Tasks that workers have", work.leased),
        Gauge("evopress_tasks_resting",
              "Tasks that will be tried again after a fault", work.resting),
        Gauge("evopress_audits_awaited",
              "Results that a second worker is to compute", work.audits),
        Gauge("evopress_workers_busy", "Active workers with a lease",
              Sum(work.busy)),
        Gauge("evopress_workers_idle", "Active workers without a lease",
              Sum(work.connected) - Sum(work.busy)),
        Gauge("evopress_long_polls", "Workers that wait for an answer",
              now.long_polls),
        Counter("evopress_tasks_completed_total", "Results accepted",
                now.counted.completed_tasks),
        Counter("evopress_evaluated_tokens_total",
                "Tokens that ran through compressed models",
                now.counted.evaluated_tokens),
        Counter("evopress_faults_total", "Faults that workers reported",
                now.counted.faults),
        Histogram("evopress_task_seconds", "Time of a task, as workers say",
                  now.counted.task_seconds),
        Histogram("evopress_journal_commit_seconds",
                  "Time until a transaction is durable",
                  now.counted.commit_seconds)};
    MetricFamily workers =
        Family("evopress_workers", "Workers by state", MetricType::Gauge);
    for (const auto& [state, number] : work.workers) {
      AddLabelled(workers, "state",
                  absl::AsciiStrToLower(v1::Worker::State_Name(state)), number);
    }
    all.push_back(std::move(workers));
    MetricFamily jobs =
        Family("evopress_jobs", "Jobs by state", MetricType::Gauge);
    for (const auto& [state, number] : now.jobs) {
      AddLabelled(jobs, "state",
                  absl::AsciiStrToLower(v1::Job::State_Name(state)), number);
    }
    all.push_back(std::move(jobs));
    return all;
  }

 private:
  const std::function<Figures()> figures_;
};

class MetricsImpl : public Metrics {
 public:
  MetricsImpl(const std::string& address, std::function<Figures()> figures)
      : collector_(std::make_shared<Collector>(std::move(figures))),
        exposer_(address) {
    exposer_.RegisterCollectable(collector_);
  }
  int port() const override { return exposer_.GetListeningPorts().at(0); }

 private:
  const std::shared_ptr<Collector> collector_;
  prometheus::Exposer exposer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Metrics>> Metrics::Serve(
    const std::string& address, std::function<Figures()> figures) {
  if (!absl::StrContains(address, ':')) {
    return absl::InvalidArgumentError(
        absl::StrCat("metrics address \"", address, "\" is not host:port"));
  }
  // The library says by exception that it cannot listen.
  try {
    return std::make_unique<MetricsImpl>(address, std::move(figures));
  } catch (const std::exception& error) {
    return absl::UnavailableError(
        absl::StrCat("cannot serve metrics on ", address, ": ", error.what(),
                     "; is the address in use, or not of this machine?"));
  }
}

}  // namespace evopress::server
