// A coordinator's data directory, a small job, and workers that compute
// deterministic sums from hashes instead of running a model.
#ifndef EVOPRESS_TESTS_SERVER_FAKE_FLEET_H_
#define EVOPRESS_TESTS_SERVER_FAKE_FLEET_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "evopress/v1/artifacts.grpc.pb.h"
#include "evopress/v1/jobs.grpc.pb.h"
#include "evopress/v1/workers.grpc.pb.h"
#include "proto/conversions.h"
#include "search/sha256.h"
#include "server/coordinator.h"
#include "server/level_build.h"
#include "server/measurement_plan.h"
#include "server/model_scores.h"

namespace evopress::server {

// A directory that vanishes with the object.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name =
        (std::filesystem::temp_directory_path() / "evopress_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline constexpr int kUnits = 6;
inline constexpr int kSequences = 16;
inline constexpr int kHeldOut = 3;

// The bytes of the artifacts that SmallSpec() refers to.
inline std::vector<std::string> SpecArtifacts() {
  return {"the model", "statistics tokens", "search tokens", "held-out tokens"};
}

inline v1::JobSpec SmallSpec(uint64_t seed = 1, int generations = 4) {
  v1::JobSpec spec;
  spec.set_display_name("small");
  const std::vector<std::string> bytes = SpecArtifacts();
  spec.mutable_model()->set_entry("model.gguf");
  v1::ModelRef::File& file = *spec.mutable_model()->add_files();
  file.set_name("model.gguf");
  file.set_size_bytes(static_cast<int64_t>(bytes[0].size()));
  file.set_sha256(search::Sha256Hex(bytes[0]));
  // The canonical text of quant/model_hash.h.
  spec.mutable_model()->set_hash(search::Sha256Hex(
      absl::StrCat("evopress model 1\n", file.sha256(), " ", file.size_bytes(),
                   " ", file.name(), "\n")));
  for (const char* kind : {"code_bits", "stored_bits"}) {
    spec.mutable_space()->add_cost_kinds()->set_name(kind);
  }
  for (int u = 0; u < kUnits; ++u) {
    v1::Unit& unit = *spec.mutable_space()->add_units();
    // Blocks 0, 7, 14 …: several build tasks.
    unit.set_name(absl::StrCat("model.layers.", u * 7, ".mlp.down_proj"));
    unit.add_layers(unit.name());
    unit.set_weights(100);
    for (int bits = 2; bits <= 5; ++bits) {
      v1::LevelChoice& level = *unit.add_menu();
      level.set_name(absl::StrCat("rtn:b", bits, ":g32:asym"));
      level.add_costs(bits * 100);
      level.add_costs(bits * 100 + 25);
    }
  }
  spec.mutable_space()->add_budgets()->set_limit(kUnits * 300);
  const v1::TokenSetRef::Role roles[] = {v1::TokenSetRef::STATISTICS,
                                         v1::TokenSetRef::SEARCH,
                                         v1::TokenSetRef::HELD_OUT};
  for (int i = 0; i < 3; ++i) {
    v1::TokenSetRef& set = *spec.add_data();
    set.set_role(roles[i]);
    set.set_sha256(search::Sha256Hex(bytes[i + 1]));
    set.set_sequences(i == 2 ? kHeldOut : kSequences);
    set.set_length(1024);
    set.set_domain(i == 2 ? "wiki" : "c4");
  }
  v1::EvoPressOptions& options = *spec.mutable_strategy()->mutable_evopress();
  options.set_generations(generations);
  options.set_offspring(8);
  const int stages[][2] = {{4, 1}, {2, 2}, {1, 4}};
  for (const auto& stage : stages) {
    v1::EvoPressOptions::Stage& out = *options.add_stages();
    out.set_survivors(stage[0]);
    out.set_samples(stage[1]);
  }
  options.set_max_switches(2);
  options.set_initial_candidates(4);
  options.set_initial_samples(2);
  options.set_fitness(v1::KL);
  spec.set_seed(seed);
  v1::NamedAssignment& uniform = *spec.add_report();
  uniform.set_name("uniform");
  uniform.mutable_assignment()->set_levels(
      proto::PackLevels({std::vector<uint16_t>(kUnits, 1)}));
  return spec;
}

// SmallSpec() with levels that prune and a budget of what stays.
inline v1::JobSpec SparseSpec(uint64_t seed = 1) {
  v1::JobSpec spec = SmallSpec(seed);
  spec.mutable_space()->mutable_cost_kinds(0)->set_name("nonzeros");
  for (auto& unit : *spec.mutable_space()->mutable_units()) {
    for (int l = 0; l < unit.menu_size(); ++l) {
      v1::LevelChoice& level = *unit.mutable_menu(l);
      const int kept = 20 * (l + 1);  // of 100 weights
      level.set_name(absl::StrCat("wanda:z", 100 - kept));
      level.set_costs(0, kept);
      level.set_costs(1, 100 + 16 * kept);
    }
  }
  spec.mutable_space()->mutable_budgets(0)->set_limit(kUnits * 50);
  return spec;
}

// Attention and MLP of three blocks, of which three may stay; no other levels.
inline v1::JobSpec DropSpec(uint64_t seed = 1) {
  v1::JobSpec spec = SmallSpec(seed);
  v1::SearchSpace& space = *spec.mutable_space();
  space.clear_cost_kinds();
  space.add_cost_kinds()->set_name("modules");
  space.clear_units();
  for (const bool module : {false, true}) {
    for (int b = 0; b < kUnits / 2; ++b) {
      for (const char* const kind : {"self_attn", "mlp"}) {
        const std::string name = absl::StrCat("model.layers.", b, ".", kind);
        v1::Unit& unit = *space.add_units();
        unit.set_name(module ? name
                             : absl::StrCat(name, kind[0] == 'm' ? ".down_proj"
                                                                 : ".o_proj"));
        unit.add_layers(unit.name());
        if (!module) {
          unit.set_weights(100);
          unit.set_module(name);
        }
        for (int kept = module ? 0 : 1; kept < 2; ++kept) {
          v1::LevelChoice& level = *unit.add_menu();
          level.set_name(kept ? search::kKeep : search::kDrop);
          level.add_costs(module ? kept : 0);
        }
      }
    }
  }
  space.mutable_budgets(0)->set_limit(kUnits / 2);
  std::vector<uint16_t> whole(kUnits, 0);
  whole.resize(2 * kUnits, 1);
  spec.mutable_report(0)->mutable_assignment()->set_levels(
      proto::PackLevels({whole}));
  return spec;
}

// What the fake model says: a number from the blobs' hashes.
inline v1::SampleSums FakeSums(const std::string& what) {
  const std::string digest = search::Sha256Hex(what);
  v1::SampleSums sums;
  sums.set_kl(std::stoul(digest.substr(0, 8), nullptr, 16) / 1e9);
  sums.set_topk_kl(sums.kl() / 3);
  sums.set_nll(2 + sums.kl());
  sums.set_positions(1023);
  return sums;
}

inline absl::Status Upload(const std::shared_ptr<grpc::Channel>& channel,
                           const std::string& bytes,
                           const std::string& sha256 = "", int64_t size = -1) {
  auto stub = v1::Artifacts::NewStub(channel);
  grpc::ClientContext context;
  v1::UploadArtifactResponse response;
  auto writer = stub->UploadArtifact(&context, &response);
  v1::UploadArtifactRequest message;
  message.mutable_header()->set_sha256(sha256.empty() ? search::Sha256Hex(bytes)
                                                      : sha256);
  message.mutable_header()->set_size_bytes(
      size < 0 ? static_cast<int64_t>(bytes.size()) : size);
  writer->Write(message);
  for (size_t at = 0; at < bytes.size(); at += 1 << 20) {
    message.set_data(bytes.substr(at, 1 << 20));
    if (!writer->Write(message)) break;
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

// A profile of blocks 0 to 35, each of an attention and an MLP: numbers from
// the modules' names.
inline v1::ModelProfile FakeProfile() {
  v1::ModelProfile profile;
  const int blocks = kUnits * 7 - 6;
  for (int b = 0; b < blocks; ++b) {
    const std::string name = absl::StrCat("model.layers.", b);
    v1::ModelProfile::Block& block = *profile.add_blocks();
    block.set_outlier_share(FakeSums(name).kl() / 50);
    for (const char* const kind : {".self_attn", ".mlp"}) {
      v1::ModelProfile::Module& module = *block.add_modules();
      module.set_name(name + kind);
      module.mutable_flow()->set_cosine(1 - FakeSums(module.name()).kl() / 5);
      module.mutable_flow()->set_magnitude(FakeSums(module.name()).topk_kl());
      block.add_layers(absl::StrCat(module.name(),
                                    kind[1] == 'm' ? ".down_proj" : ".o_proj"));
    }
    for (int n = 0; n < blocks - b; ++n) {
      block.add_windows()->set_angle(FakeSums(absl::StrCat(name, n)).kl() / 5);
    }
  }
  return profile;
}

// What a fake worker answers to a task; may upload artifacts.
inline v1::TaskResult FakeResult(const std::shared_ptr<grpc::Channel>& channel,
                                 const v1::Task& task) {
  v1::TaskResult result;
  if (task.has_build() && task.build().step() == kProfileStep) {
    *result.mutable_build()->mutable_profile() = FakeProfile();
    return result;
  }
  if (task.has_build()) {
    *result.mutable_build()->mutable_units() = task.build().units();
    for (auto& unit :
         *result.mutable_build()->mutable_units()->mutable_units()) {
      for (auto& level : *unit.mutable_levels()) {
        for (const std::string& layer : unit.layers()) {
          const std::string bytes = absl::StrCat(layer, "@", level.name());
          EXPECT_TRUE(Upload(channel, bytes).ok());
          v1::LevelTable::Blob& blob = *level.add_blobs();
          blob.set_sha256(search::Sha256Hex(bytes));
          blob.set_size_bytes(static_cast<int64_t>(bytes.size()));
          blob.set_relative_error(0.1);
        }
      }
    }
    return result;
  }
  const v1::EvaluateTask& work = task.evaluate();
  for (const std::string& levels : work.assignments()) {
    for (const int32_t sequence : work.sequences()) {
      *result.mutable_evaluate()->add_sums() = FakeSums(
          absl::StrCat(levels, "/", work.data().sha256(), "/", sequence));
    }
  }
  return result;
}

// A worker in a thread. `answer` may change or withhold what is sent.
class FakeWorker {
 public:
  // Returns false to drop the completion silently.
  using Answer = std::function<bool(const v1::Lease&, v1::Completion*)>;

  FakeWorker(std::shared_ptr<grpc::Channel> channel, const std::string& id,
             Answer answer = {}, const std::string& numeric_class = "fake-1",
             int replies = 1)
      : channel_(std::move(channel)),
        answer_(std::move(answer)),
        replies_(replies) {
    open_.set_worker_id(id);
    open_.set_numeric_class(numeric_class);
    thread_ = std::thread([this] { Run(); });
  }
  ~FakeWorker() {
    stop_ = true;
    thread_.join();
  }

  int64_t evaluations() const { return evaluations_; }

 private:
  void Run() {
    auto stub = v1::Workers::NewStub(channel_);
    std::string session;
    while (!stop_) {
      if (session.empty()) {
        grpc::ClientContext context;
        v1::OpenSessionResponse opened;
        if (!stub->OpenSession(&context, open_, &opened).ok()) {
          absl::SleepFor(absl::Milliseconds(5));
          continue;
        }
        session = opened.session();
      }
      v1::LeaseTasksRequest request;
      request.set_session(session);
      request.set_capacity(2);
      request.mutable_wait()->set_nanos(100'000'000);
      v1::LeaseTasksResponse leased;
      grpc::ClientContext context;
      const grpc::Status status = stub->LeaseTasks(&context, request, &leased);
      if (!status.ok()) {
        session.clear();
        continue;
      }
      if (leased.drain()) {
        absl::SleepFor(absl::Milliseconds(5));
        continue;
      }
      v1::CompleteTasksRequest complete;
      complete.set_session(session);
      for (const v1::Lease& lease : leased.leases()) {
        v1::Completion completion;
        completion.set_token(lease.token());
        completion.set_task_id(lease.task().id());
        *completion.mutable_result() = FakeResult(channel_, lease.task());
        if (lease.task().has_evaluate()) ++evaluations_;
        if (answer_ && !answer_(lease, &completion)) continue;
        *complete.add_completions() = completion;
      }
      if (complete.completions_size() == 0) continue;
      for (int i = 0; i < replies_; ++i) {
        grpc::ClientContext complete_context;
        v1::CompleteTasksResponse verdicts;
        stub->CompleteTasks(&complete_context, complete, &verdicts);
      }
    }
  }

  const std::shared_ptr<grpc::Channel> channel_;
  const Answer answer_;
  const int replies_;  // how often everything is sent
  v1::OpenSessionRequest open_;
  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> evaluations_ = 0;
  std::thread thread_;
};

inline std::unique_ptr<Coordinator> StartCoordinator(
    const std::string& data_dir,
    absl::Duration heartbeat = absl::Milliseconds(200)) {
  CoordinatorOptions options;
  options.data_dir = data_dir;
  options.heartbeat_interval = heartbeat;
  auto coordinator = Coordinator::Start(options);
  EXPECT_TRUE(coordinator.ok()) << coordinator.status();
  return coordinator.ok() ? *std::move(coordinator) : nullptr;
}

inline void UploadSpecArtifacts(const std::shared_ptr<grpc::Channel>& channel) {
  for (const std::string& bytes : SpecArtifacts()) {
    ASSERT_TRUE(Upload(channel, bytes).ok());
  }
}

inline grpc::Status Create(const std::shared_ptr<grpc::Channel>& channel,
                           const v1::JobSpec& spec, v1::Job* job,
                           const std::string& request_id = "") {
  grpc::ClientContext context;
  v1::CreateJobRequest request;
  *request.mutable_spec() = spec;
  request.set_request_id(request_id);
  return v1::Jobs::NewStub(channel)->CreateJob(&context, request, job);
}

inline v1::Job Get(const std::shared_ptr<grpc::Channel>& channel,
                   const std::string& name) {
  grpc::ClientContext context;
  v1::GetJobRequest request;
  request.set_name(name);
  v1::Job job;
  const grpc::Status status =
      v1::Jobs::NewStub(channel)->GetJob(&context, request, &job);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return job;
}

inline bool Ended(const v1::Job& job) {
  return job.state() == v1::Job::SUCCEEDED || job.state() == v1::Job::FAILED ||
         job.state() == v1::Job::CANCELLED;
}

inline v1::Job WaitUntil(const std::shared_ptr<grpc::Channel>& channel,
                         const std::string& name,
                         const std::function<bool(const v1::Job&)>& condition,
                         absl::Duration patience = absl::Seconds(60)) {
  const absl::Time end = absl::Now() + patience;
  for (;;) {
    v1::Job job = Get(channel, name);
    if (condition(job) || absl::Now() > end) return job;
    absl::SleepFor(absl::Milliseconds(2));
  }
}

inline v1::Job WaitForEnd(const std::shared_ptr<grpc::Channel>& channel,
                          const std::string& name) {
  if (name.empty()) return v1::Job();
  return WaitUntil(channel, name, Ended);
}

}  // namespace evopress::server

#endif  // EVOPRESS_TESTS_SERVER_FAKE_FLEET_H_
