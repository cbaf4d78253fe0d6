#include "worker/ops/arithmetic.h"

#include "absl/strings/str_cat.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace evopress::worker {
namespace {

// Raise it whenever a change of the engine changes any result's bits.
constexpr int kEngineVersion = 3;

const char* IsaName(dnnl_cpu_isa_t isa) {
  switch (isa) {
    case dnnl_cpu_isa_avx2:
      return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
      return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core:
      return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
      return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
      return "avx512_core_amx";
    default:
      return nullptr;
  }
}

}  // namespace

Arithmetic DetectArithmetic() {
  const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
  const bool bf16 =
      (isa & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16 &&
      __builtin_cpu_supports("avx512bf16");
  return bf16 ? Arithmetic::kBf16 : Arithmetic::kF32;
}

std::string NumericClass(Arithmetic arithmetic) {
  const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
  const char* name = IsaName(isa);
  const dnnl_version_t* version = dnnl_version();
  return absl::StrCat(
      "cpu-", kEngineVersion,
      arithmetic == Arithmetic::kBf16 ? ":bf16:" : ":f32:",
      name != nullptr ? std::string(name) : absl::StrCat("isa", int{isa}),
      ":onednn-", version->major, ".", version->minor, ".", version->patch);
}

}  // namespace evopress::worker
