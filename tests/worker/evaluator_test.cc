#include "worker/evaluator.h"

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/conformance/evaluator_suite.h"
#include "worker/evaluation.h"
#include "worker/model.h"
#include "worker/ops/arithmetic.h"

namespace evopress::worker {
namespace {

const char kBinary[] = EVOPRESS_BINARY_DIR "/worker/evopress-evaluator-cpu";

struct Local {
  static auto Open(const std::string& path, const EvaluatorOptions& options) {
    return OpenLocalEvaluator(path, options);
  }
};

struct Process {
  static auto Open(const std::string& path, const EvaluatorOptions& options) {
    return OpenEvaluatorProcess(kBinary, path, options);
  }
};

using Cases =
    testing::Types<Case<Local, DenseModel>, Case<Local, TiedModel>,
                   Case<Process, DenseModel>, Case<Local, ExpertsModel>,
                   Case<Process, ExpertsModel>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Cpu, EvaluatorSuite, Cases);

// Processes whose parent is this one.
std::vector<pid_t> Children() {
  std::vector<pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream in(entry.path() / "stat");
    pid_t pid = 0;
    std::string name, state;
    pid_t parent = 0;
    if (in >> pid >> name >> state >> parent && parent == getpid()) {
      children.push_back(pid);
    }
  }
  return children;
}

TEST(EvaluatorProcess, AKilledChildIsReportedAndStartedAnew) {
  auto evaluator = OpenEvaluatorProcess(kBinary, GoldenPath("qwen3"), {});
  ASSERT_TRUE(evaluator.ok()) << evaluator.status();
  EvaluateRequest request{{{}}, {MakeSample(300, 1)}};
  const auto before = (*evaluator)->Evaluate(request, nullptr);
  ASSERT_TRUE(before.ok()) << before.status();
  // SIGKILL is what the system does when memory is out.
  for (const auto& [signal, code] :
       {std::pair(SIGKILL, absl::StatusCode::kResourceExhausted),
        std::pair(SIGABRT, absl::StatusCode::kUnavailable)}) {
    SCOPED_TRACE(signal);
    const std::vector<pid_t> children = Children();
    ASSERT_EQ(children.size(), 1u);
    ASSERT_EQ(kill(children[0], signal), 0);
    const auto dead = (*evaluator)->Evaluate(request, nullptr);
    EXPECT_EQ(dead.status().code(), code) << dead.status();
    EXPECT_NE(dead.status().ToString().find(absl::StrCat("signal ", signal)),
              std::string::npos)
        << dead.status();
    const auto after = (*evaluator)->Evaluate(request, nullptr);
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_EQ(after->results, before->results);
  }
}

// Slurm and terminals signal every process of a job at once.
TEST(EvaluatorProcess, ASignalToTheWholeJobDoesNotEndTheChild) {
  auto evaluator = OpenEvaluatorProcess(kBinary, GoldenPath("qwen3"), {});
  ASSERT_TRUE(evaluator.ok()) << evaluator.status();
  const std::vector<pid_t> children = Children();
  ASSERT_EQ(children.size(), 1u);
  ASSERT_EQ(kill(children[0], SIGTERM), 0);
  ASSERT_EQ(kill(children[0], SIGINT), 0);
  const auto measured =
      (*evaluator)->Evaluate({{{}}, {MakeSample(300, 1)}}, nullptr);
  EXPECT_TRUE(measured.ok()) << measured.status();
}

TEST(EvaluatorProcess, LeavesNoChildBehind) {
  {
    auto evaluator = OpenEvaluatorProcess(kBinary, GoldenPath("qwen3"), {});
    ASSERT_TRUE(evaluator.ok()) << evaluator.status();
    EXPECT_EQ(Children().size(), 1u);
  }
  EXPECT_TRUE(Children().empty());
}

TEST(EvaluatorProcess, SaysWhyItCannotOpen) {
  const auto no_model = OpenEvaluatorProcess(kBinary, "/no/such/model", {});
  EXPECT_FALSE(no_model.ok());
  EXPECT_NE(no_model.status().ToString().find("/no/such/model"),
            std::string::npos);
  const auto no_binary =
      OpenEvaluatorProcess("/no/such/binary", GoldenPath("qwen3"), {});
  EXPECT_EQ(no_binary.status().code(), absl::StatusCode::kUnavailable);
  const auto not_ours =
      OpenEvaluatorProcess("/bin/false", GoldenPath("qwen3"), {});
  EXPECT_EQ(not_ours.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(not_ours.status().ToString().find("exited with code 1"),
            std::string::npos)
      << not_ours.status();
}

TEST(EvaluatorProcess, PrintsTheNumericClassOfThisMachine) {
  const auto name = EvaluatorNumericClass(kBinary);
  ASSERT_TRUE(name.ok()) << name.status();
  EXPECT_EQ(*name, NumericClass(DetectArithmetic()));
}

TEST(Engine, SharedPrefixesChangeNoBits) {
  ThreadArena arena(2);
  auto model = LoadModel(GoldenPath("qwen3"), DetectArithmetic(), arena);
  ASSERT_TRUE(model.ok()) << model.status();
  const ScratchDirectory directory;
  EvaluateRequest request;
  request.samples = {MakeSample(200, 1), MakeSample(10, 2)};
  for (const int block : {0, 1}) {
    for (const char* level : {"rtn:b3:g16:asym", "rtn:b4:g16:asym"}) {
      const std::string layer =
          model->architecture.blocks[block].linears[kGate].name;
      request.assignments.push_back(
          {{{layer,
             MakeBlob(*model->checkpoint, layer, level, directory.path())}}});
    }
  }
  for (const int block : {0, 1}) {
    request.assignments.push_back(request.assignments.front());
    request.assignments.back().dropped = {
        model->architecture.blocks[block].attention};
  }
  for (const std::string& layer : OuterLayers(model->architecture)) {
    for (const char* level : {"rtn:b3:g16:asym", "rtn:b4:g16:asym"}) {
      request.assignments.push_back(request.assignments.front());
      request.assignments.back().blob_of_layer[layer] =
          MakeBlob(*model->checkpoint, layer, level, directory.path());
    }
  }
  Engine sharing(*model, arena, {});
  Engine separate(*model, arena, {});
  separate.set_share_prefixes(false);
  const auto shared = sharing.Evaluate(request, nullptr);
  const auto alone = separate.Evaluate(request, nullptr);
  ASSERT_TRUE(shared.ok() && alone.ok());
  EXPECT_EQ(shared->results, alone->results);
}

TEST(Engine, LittleMemoryChangesNoBits) {
  ThreadArena arena(2);
  auto model = LoadModel(GoldenPath("qwen3"), DetectArithmetic(), arena);
  ASSERT_TRUE(model.ok()) << model.status();
  EvaluateRequest request{{{}}, {MakeSample(200, 1), MakeSample(300, 2)}};
  const ScratchDirectory directory;
  for (const std::string& layer : OuterLayers(model->architecture)) {
    for (const char* level : {"rtn:b3:g16:asym", "rtn:b4:g16:asym"}) {
      request.assignments.push_back(
          {{{layer,
             MakeBlob(*model->checkpoint, layer, level, directory.path())}}});
    }
  }
  EvaluatorOptions little;
  little.memory_bytes = 0;
  Engine starved(*model, arena, little);
  Engine rich(*model, arena, {});
  const auto a = starved.Evaluate(request, nullptr);
  const auto b = rich.Evaluate(request, nullptr);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->results, b->results);
  EXPECT_EQ(starved.prepared_bytes(), 0);
  // Levels of the head count as what is kept.
  Engine blocks(*model, arena, {});
  ASSERT_TRUE(blocks.Evaluate({{{}}, request.samples}, nullptr).ok());
  EXPECT_GE(rich.prepared_bytes() - blocks.prepared_bytes(),
            2 * 256 * 64 * ElementBytes(model->arithmetic));
}

}  // namespace
}  // namespace evopress::worker
