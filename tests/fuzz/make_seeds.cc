// Writes the seeds of fuzzers whose inputs are messages or files of our own:
//   fuzz_make_seeds DIRECTORY
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "quant/packed_weight.h"
#include "tests/fuzz/calls.pb.h"
#include "tests/server/small_job.h"
#include "worker/evaluator_protocol.h"
#include "worker/token_set.h"

namespace evopress::fuzz {
namespace {

constexpr size_t kDigestBytes = 32;

class Seeds {
 public:
  explicit Seeds(std::string directory) : directory_(std::move(directory)) {}

  void Write(const std::string& fuzzer, const std::string& name,
             const std::string& bytes) const {
    const std::string folder = absl::StrCat(directory_, "/", fuzzer);
    std::filesystem::create_directories(folder);
    std::ofstream(absl::StrCat(folder, "/", name), std::ios::binary) << bytes;
  }

 private:
  const std::string directory_;
};

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A job that one worker brings to its end.
std::string WholeJob(const v1::JobSpec& spec) {
  Calls calls;
  *calls.add_calls()->mutable_create()->mutable_spec() = spec;
  v1::OpenSessionRequest& open = *calls.add_calls()->mutable_open();
  open.set_worker_id("w");
  open.set_numeric_class("class");
  for (int i = 0; i < 16; ++i) {
    v1::LeaseTasksRequest& lease = *calls.add_calls()->mutable_lease();
    lease.set_session("0");
    lease.set_capacity(64);
    calls.add_calls()->set_work(true);
  }
  return calls.SerializeAsString();
}

// Every other call once, and a result that is a lie.
std::string OtherCalls() {
  Calls calls;
  calls.ParseFromString(WholeJob(server::SmallSpec()));
  Calls out;
  for (int i = 0; i < 4; ++i) *out.add_calls() = calls.calls(i);
  *out.add_calls() = calls.calls(2);
  v1::CompleteTasksRequest& complete = *out.add_calls()->mutable_complete();
  complete.set_session("0");
  v1::Completion& lie = *complete.add_completions();
  lie.set_token("0");
  v1::SampleSums& sums = *lie.mutable_result()->mutable_evaluate()->add_sums();
  sums.set_kl(1);
  sums.set_positions(1);
  v1::Completion& fault = *complete.add_completions();
  fault.set_token("1");
  fault.mutable_fault()->set_kind(v1::Fault::OUT_OF_MEMORY);
  out.add_calls()->mutable_heartbeat()->set_session("0");
  out.add_calls()->mutable_list()->set_page_size(2);
  out.add_calls()->mutable_rounds()->set_job("0");
  out.add_calls()->set_milliseconds(20000);
  out.add_calls()->mutable_pause()->set_name("0");
  out.add_calls()->mutable_resume()->set_name("0");
  out.add_calls()->set_restart(true);
  out.add_calls()->mutable_drain()->set_worker_id("w");
  out.add_calls()->mutable_close()->set_session("0");
  out.add_calls()->mutable_cancel()->set_name("0");
  out.add_calls()->mutable_delete_()->set_name("0");
  return out.SerializeAsString();
}

void WriteSealed(const Seeds& seeds) {
  quant::PackedWeight weight;
  weight.rows = 2;
  weight.cols = 4;
  weight.bits = 4;
  weight.group_size = 4;
  weight.codes = {0x21, 0x43, 0x65, 0x87};
  weight.scales = {0x3c00, 0x3c00};
  weight.zeros = {0x77};
  std::string bytes = quant::SerializeBlob(weight);
  bytes.resize(bytes.size() - kDigestBytes);
  seeds.Write("sealed", "blob", bytes);
  bytes = worker::TokenSet::Make({1, 2, 3, 4}, 2, 10, "c4")->Serialize();
  bytes.resize(bytes.size() - kDigestBytes);
  seeds.Write("sealed", "tokens", bytes);
}

void WriteAll(const Seeds& seeds) {
  const std::string golden = EVOPRESS_SOURCE_DIR "/tests/golden/";
  for (const char* const name : {"tiny_llama", "tiny_gemma3"}) {
    seeds.Write("gguf", name, ReadFile(absl::StrCat(golden, name, ".gguf")));
  }
  const std::string config = ReadFile(golden + "tiny_hf/config.json");
  seeds.Write(
      "hugging_face", "tiny",
      absl::StrCat(std::string{static_cast<char>(config.size() & 0xff),
                               static_cast<char>(config.size() >> 8)},
                   config, ReadFile(golden + "tiny_hf/model.safetensors")));
  for (const char* const name :
       {"llama2", "llama3", "metaspace", "qwen2", "smollm2", "spm"}) {
    seeds.Write("tokenizer", name,
                ReadFile(absl::StrCat(golden, "tokenizer_", name, ".json")));
  }
  seeds.Write("job_spec", "small", server::SmallSpec().SerializeAsString());
  seeds.Write("job_spec", "sparse", server::SparseSpec().SerializeAsString());
  seeds.Write("job_spec", "drop", server::DropSpec().SerializeAsString());
  seeds.Write("rpc", "small", WholeJob(server::SmallSpec(1, 1)));
  seeds.Write("rpc", "drop", WholeJob(server::DropSpec()));
  seeds.Write("rpc", "others", OtherCalls());
  WriteSealed(seeds);
  worker::OpenRequest open;
  open.path = "/model.gguf";
  seeds.Write("evaluator_message", "open",
              absl::StrCat("\x01", worker::EncodeOpen(open)));
  seeds.Write("evaluator_message", "profile",
              absl::StrCat("\x0a", worker::EncodeProfile({{1, 2}, {3}})));
  seeds.Write("text", "level", std::string("\0gptq:b3:g64:asym", 17));
  seeds.Write("text", "menu",
              "\x01gptq:2-6:g64,sparsegpt:50:steps4x16384,keep");
  seeds.Write("text", "assignment", "\x02model.layers.0.mlp.down_proj: 3\n");
  seeds.Write("text", "drops", "\x03none\nattn\nmlp\n");
  seeds.Write("text", "costs",
              "\x04kind=decode unit=ns\n* rtn:b2:g32:asym 100\n");
}

}  // namespace
}  // namespace evopress::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_make_seeds DIRECTORY\n");
    return 2;
  }
  evopress::fuzz::WriteAll(evopress::fuzz::Seeds(argv[1]));
  return 0;
}
