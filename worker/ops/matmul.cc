#include "worker/ops/matmul.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "oneapi/dnnl/dnnl.hpp"
#include "worker/ops/tile_matmul.h"

namespace evopress::worker {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

// Leaked on purpose: threads may still hold primitives at exit.
const dnnl::engine& Engine() {
  static const auto* const engine =
      new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

dnnl::stream& Stream() {
  thread_local dnnl::stream stream(Engine());
  return stream;
}

memory::data_type TypeOf(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kBf16 ? memory::data_type::bf16
                                         : memory::data_type::f32;
}

// oneDNN's own scratchpad is shared between calls; ours belongs to a thread.
memory Scratchpad(const memory::desc& desc) {
  thread_local std::vector<uint8_t> bytes;
  constexpr size_t kAlignment = 64;
  if (bytes.size() < desc.get_size() + kAlignment) {
    bytes.resize(desc.get_size() + kAlignment);
  }
  const auto address = reinterpret_cast<uintptr_t>(bytes.data());
  const uintptr_t aligned = (address + kAlignment - 1) & ~(kAlignment - 1);
  return memory(desc, Engine(), reinterpret_cast<void*>(aligned));
}

// A compiled product of one shape.
struct Kernel {
  dnnl::matmul primitive;
  memory::desc source, weights, destination, scratchpad;
};

Kernel Compile(const memory::desc& source, const memory::desc& weights,
               const memory::desc& destination, bool accumulate) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (accumulate) {
    dnnl::post_ops ops;
    ops.append_sum(1.0f);
    attr.set_post_ops(ops);
  }
  const dnnl::matmul::primitive_desc desc(
      dnnl::matmul::desc(source, weights, destination), attr, Engine());
  return {dnnl::matmul(desc), desc.src_desc(), desc.weights_desc(),
          desc.dst_desc(), desc.scratchpad_desc()};
}

// Rows of inputs and size of the Gram that is added to (0: none); rows and
// columns of the matrix.
using KernelKey = std::tuple<Arithmetic, int64_t, int64_t, int64_t, int64_t>;

// Kernels by shape, compiled once in the life of the process.
template <typename Make>
std::shared_ptr<const Kernel> FindKernel(const KernelKey& key, Make make) {
  static auto* const mutex = new std::mutex;
  static auto* const kernels =
      new std::map<KernelKey, std::shared_ptr<const Kernel>>;
  const std::lock_guard<std::mutex> lock(*mutex);
  std::shared_ptr<const Kernel>& kernel = (*kernels)[key];
  if (kernel == nullptr) kernel = std::make_shared<const Kernel>(make());
  return kernel;
}

absl::Status ToStatus(const dnnl::error& error) {
  const std::string message = absl::StrCat("oneDNN: ", error.what());
  return error.status == dnnl_out_of_memory
             ? absl::ResourceExhaustedError(message)
             : absl::InternalError(message);
}

}  // namespace

// One or the other.
struct PackedMatrix::Impl {
  AlignedVector<Bf16> tiles;
  std::shared_ptr<const Kernel> kernel;
  memory weights;
};

PackedMatrix::PackedMatrix() : impl_(std::make_unique<Impl>()) {}
PackedMatrix::~PackedMatrix() = default;

absl::StatusOr<std::shared_ptr<const PackedMatrix>> PackedMatrix::Create(
    Arithmetic arithmetic, absl::Span<const float> weight, int64_t rows,
    int64_t cols) {
  if (rows < 1 || cols < 1 || weight.size() / cols != uint64_t(rows) ||
      weight.size() % cols != 0) {
    return absl::InvalidArgumentError(absl::StrCat("a matrix of ", rows, " x ",
                                                   cols, " was given ",
                                                   weight.size(), " values"));
  }
  try {
    std::shared_ptr<PackedMatrix> matrix(new PackedMatrix);
    matrix->rows_ = rows;
    matrix->cols_ = cols;
    if (arithmetic == Arithmetic::kBf16 && UsesTiles() &&
        cols % kTileInputs == 0) {
      matrix->impl_->tiles.resize(TilePackedSize(rows, cols));
      PackTiles(weight.data(), rows, cols, matrix->impl_->tiles.data());
      matrix->bytes_ = matrix->impl_->tiles.size() * sizeof(Bf16);
      return std::shared_ptr<const PackedMatrix>(std::move(matrix));
    }
    const memory::data_type type = TypeOf(arithmetic);
    const auto f32 = memory::data_type::f32;
    matrix->impl_->kernel = FindKernel({arithmetic, 0, 0, rows, cols}, [&] {
      return Compile(memory::desc({kPanelRows, cols}, type, Tag::ab),
                     memory::desc({cols, rows}, type, Tag::any),
                     memory::desc({kPanelRows, rows}, f32, Tag::ab), false);
    });
    const memory plain(memory::desc({cols, rows}, f32, Tag::ba), Engine(),
                       const_cast<float*>(weight.data()));
    matrix->impl_->weights = memory(matrix->impl_->kernel->weights, Engine());
    memory source = plain;
    if (type != f32) {
      // Converting and blocking in one step falls back to a slow reference
      // reorder, so convert first.
      source = memory(memory::desc({cols, rows}, type, Tag::ba), Engine());
      dnnl::reorder(plain, source)
          .execute(Stream(), const_cast<memory&>(plain), source);
    }
    dnnl::reorder(source, matrix->impl_->weights)
        .execute(Stream(), source, matrix->impl_->weights);
    Stream().wait();
    matrix->bytes_ = matrix->impl_->kernel->weights.get_size();
    return std::shared_ptr<const PackedMatrix>(std::move(matrix));
  } catch (const dnnl::error& error) {
    return ToStatus(error);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory packing a matrix");
  }
}

absl::Status PackedMatrix::Multiply(const void* input, float* output) const {
  if (!impl_->tiles.empty()) {
    return MultiplyPiece(input, 0, rows_, output);
  }
  try {
    const Kernel& kernel = *impl_->kernel;
    const memory source(kernel.source, Engine(), const_cast<void*>(input));
    const memory destination(kernel.destination, Engine(), output);
    kernel.primitive.execute(
        Stream(), {{DNNL_ARG_SRC, source},
                   {DNNL_ARG_WEIGHTS, impl_->weights},
                   {DNNL_ARG_DST, destination},
                   {DNNL_ARG_SCRATCHPAD, Scratchpad(kernel.scratchpad)}});
    Stream().wait();
    return absl::OkStatus();
  } catch (const dnnl::error& error) {
    return ToStatus(error);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory multiplying");
  }
}

int64_t PackedMatrix::piece() const {
  constexpr int64_t kPiece = 128;
  return impl_->tiles.empty() ? rows_ : std::min(kPiece, rows_);
}

absl::Status PackedMatrix::MultiplyPiece(const void* input, int64_t first,
                                         int64_t count, float* output) const {
  if (impl_->tiles.empty()) return Multiply(input, output);  // piece() is all
  MultiplyTiles(static_cast<const Bf16*>(input), impl_->tiles.data(), first,
                count, cols_, output);
  return absl::OkStatus();
}

absl::Status AccumulateGram(Arithmetic arithmetic, const void* inputs,
                            int64_t rows, int64_t n, int64_t first,
                            int64_t count, float* strip) {
  try {
    const memory::data_type type = TypeOf(arithmetic);
    const int64_t height = first + count;
    const auto kernel = FindKernel({arithmetic, rows, n, height, count}, [&] {
      return Compile(
          memory::desc({height, rows}, type, memory::dims{1, n}),
          memory::desc({rows, count}, type, memory::dims{n, 1}),
          memory::desc({height, count}, memory::data_type::f32, Tag::ab), true);
    });
    auto* const bytes = static_cast<uint8_t*>(const_cast<void*>(inputs));
    const memory source(kernel->source, Engine(), bytes);
    const memory weights(kernel->weights, Engine(),
                         bytes + first * ElementBytes(arithmetic));
    const memory destination(kernel->destination, Engine(), strip);
    kernel->primitive.execute(
        Stream(), {{DNNL_ARG_SRC, source},
                   {DNNL_ARG_WEIGHTS, weights},
                   {DNNL_ARG_DST, destination},
                   {DNNL_ARG_SCRATCHPAD, Scratchpad(kernel->scratchpad)}});
    Stream().wait();
    return absl::OkStatus();
  } catch (const dnnl::error& error) {
    return ToStatus(error);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory accumulating a Gram");
  }
}

}  // namespace evopress::worker
