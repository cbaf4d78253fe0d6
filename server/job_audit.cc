// What a job has audited before it ends: all that speaks for its winners, all
// of the last round, and the last measurement of each worker that took part. A
// worker that is broken from some moment on has made a wrong one of these. What
// to audit is read from the journal, so that no crash makes it forgotten.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proto/conversions.h"
#include "search/sha256.h"
#include "server/job_runner.h"

namespace evopress::server {
namespace {

constexpr int64_t kRoundsPerPage = 64;

}  // namespace

void JobRunner::EndAudit(const std::string& task_id, bool confirmed) {
  if (audits_.erase(task_id) == 0) return;
  if (confirmed) {
    outcome_.set_audited_tasks(outcome_.audited_tasks() + 1);
  } else {
    outcome_.set_unaudited_tasks(outcome_.unaudited_tasks() + 1);
  }
  UpdateRecord();
}

std::vector<JobRunner::Audit> JobRunner::TakeAudits() {
  return std::exchange(new_audits_, {});
}

absl::Status JobRunner::BeginAudit() {
  audit_begun_ = true;
  std::set<std::string> winners;
  for (const search::Incumbent& winner : winners_) {
    winners.insert(proto::PackLevels(winner.assignment));
  }
  // Measurements that one worker alone vouches for, by key.
  struct Single {
    std::string worker;
    std::string data_sha256;
    Pair pair;
  };
  std::map<std::string, Single> singles;
  std::map<std::string, Pair> firsts;                          // by key
  std::map<std::string, std::pair<std::string, Single>> last;  // by worker
  std::set<std::string> workers;
  const auto look = [&](const v1::TokenSetRef& data, const std::string& levels,
                        int32_t sequence, bool wanted) -> absl::Status {
    const std::string key =
        keys_->Key(keys_->Phenotype(levels), data.sha256(), sequence);
    auto worker = journal_.FindWorker(key);
    if (!worker.ok()) return worker.status();
    if (worker->empty()) return absl::OkStatus();
    workers.insert(*worker);
    // Of pairs with one phenotype the first in order stands for all.
    const Single single{*worker, data.sha256(), {levels, sequence}};
    Pair& first = firsts.emplace(key, single.pair).first->second;
    first = std::min(first, single.pair);
    last[*worker] = {key, single};
    if (wanted) singles.emplace(key, single);
    return absl::OkStatus();
  };

  for (int64_t first = 0; search_set_.has_value(); first += kRoundsPerPage) {
    auto rows = journal_.LoadRounds(record_.id, first, kRoundsPerPage);
    if (!rows.ok()) return rows.status();
    for (const RoundRow& row : *rows) {
      v1::RoundRecord round;
      if (!round.ParseFromString(row.round)) continue;
      const bool final_round = row.index + 1 == record_.rounds;
      for (const auto& evaluation : round.evaluations()) {
        const std::string& levels = evaluation.assignment().levels();
        for (const int32_t sample : evaluation.samples()) {
          absl::Status status = look(*search_set_, levels, sample,
                                     final_round || winners.count(levels) != 0);
          if (!status.ok()) return status;
        }
      }
    }
    if (static_cast<int64_t>(rows->size()) < kRoundsPerPage) break;
  }
  for (const Wanted& wanted : wanted_) {
    for (const Pair& pair : wanted.pairs) {
      absl::Status status = look(wanted.data, pair.levels, pair.sequence,
                                 winners.count(pair.levels) != 0);
      if (!status.ok()) return status;
    }
  }
  for (const auto& [worker, entry] : last) singles.insert(entry);
  made_by_fleet_ = workers.size() > 1;

  std::map<std::pair<std::string, std::string>, std::vector<Pair>> groups;
  for (const auto& [key, single] : singles) {
    groups[{single.worker, single.data_sha256}].push_back(firsts.at(key));
  }
  for (const auto& [origin, pairs] : groups) {
    v1::EvaluateTask common;
    *common.mutable_model() = spec_.model();
    common.set_level_table_sha256(record_.level_table_sha256);
    for (const v1::TokenSetRef& set : spec_.data()) {
      if (set.sha256() == origin.second) *common.mutable_data() = set;
    }
    for (v1::EvaluateTask& work : PackTasks(common, pairs)) {
      v1::TaskResult result;
      for (const std::string& key : KeysOf(work)) {
        auto sums = journal_.FindMeasurement(key);
        if (!sums.ok()) return sums.status();
        if (!sums->has_value()) break;
        *result.mutable_evaluate()->add_sums() = proto::ToProto(**sums);
      }
      Audit& audit = new_audits_.emplace_back();
      audit.worker = origin.first;
      audit.value = search::Sha256Hex(proto::DeterministicBytes(result));
      audit.task.set_job(record_.id);
      audit.task.set_numeric_class(record_.numeric_class);
      *audit.task.mutable_evaluate() = std::move(work);
      audit.task.set_id(
          search::Sha256Hex(proto::DeterministicBytes(audit.task)));
      audits_.insert(audit.task.id());
    }
  }
  return absl::OkStatus();
}

}  // namespace evopress::server
