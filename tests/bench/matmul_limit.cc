// The machine's limit for a model: bare oneDNN matrix products of all shapes
// of a forward pass with the loss head, on prepacked weights, nothing else.
//
//   matmul_limit MODEL TOKENS [THREADS]
//
// Prints "ready", then for every line on standard input measures once and
// prints JSON {"tokens_per_second": best, "by_rows": {"256": …, …}}. Each
// number of rows M is tried in two ways: one product on all threads, and one
// product a thread; each shape counts with the better of the two. Attention's
// two products are those of causal blocks of M queries against the keys up to
// their own block.
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"
#include "worker/model.h"
#include "worker/thread_arena.h"

namespace evopress {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

// [batch x] m x k times k x n.
struct Shape {
  int64_t batch, m, k, n;
  auto operator<=>(const Shape&) const = default;
};

class Product {
 public:
  Product(const dnnl::engine& engine, const Shape& shape, bool bf16)
      : stream_(engine) {
    const auto type = bf16 ? memory::data_type::bf16 : memory::data_type::f32;
    const auto f32 = memory::data_type::f32;
    const bool batched = shape.batch > 1;
    const auto dims = [&](int64_t rows, int64_t cols) {
      return batched ? memory::dims{shape.batch, rows, cols}
                     : memory::dims{rows, cols};
    };
    const Tag plain = batched ? Tag::abc : Tag::ab;
    const dnnl::matmul::primitive_desc desc(
        dnnl::matmul::desc(memory::desc(dims(shape.m, shape.k), type, plain),
                           memory::desc(dims(shape.k, shape.n), type, Tag::any),
                           memory::desc(dims(shape.m, shape.n), f32, plain)),
        engine);
    primitive_ = dnnl::matmul(desc);
    source_ = Zeros(desc.src_desc(), engine);
    weights_ = Zeros(desc.weights_desc(), engine);
    destination_ = Zeros(desc.dst_desc(), engine);
  }

  void Run() {
    primitive_.execute(stream_, {{DNNL_ARG_SRC, source_},
                                 {DNNL_ARG_WEIGHTS, weights_},
                                 {DNNL_ARG_DST, destination_}});
    stream_.wait();
  }

 private:
  static memory Zeros(const memory::desc& desc, const dnnl::engine& engine) {
    memory m(desc, engine);
    std::fill_n(static_cast<char*>(m.get_data_handle()), desc.get_size(), 0);
    return m;
  }

  dnnl::stream stream_;
  dnnl::matmul primitive_;
  memory source_, weights_, destination_;
};

double SecondsOf(int repetitions, Product& product) {
  product.Run();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repetitions; ++i) product.Run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
             .count() /
         repetitions;
}

// Seconds of one product when every thread can be kept busy.
double Seconds(const Shape& shape, bool bf16, int threads) {
  const double flops = 2.0 * shape.batch * shape.m * shape.k * shape.n;
  const int repetitions = std::clamp<int>(2e9 / flops, 1, 1000);
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  omp_set_num_threads(threads);
  Product shared(engine, shape, bf16);
  double best = SecondsOf(repetitions, shared);
  // The primitive remembers the thread count it was made for.
  std::vector<double> own(threads);
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      omp_set_num_threads(1);
      Product product(engine, shape, bf16);
      own[t] = SecondsOf(repetitions, product);
    });
  }
  for (std::thread& worker : workers) worker.join();
  return std::min(best, *std::max_element(own.begin(), own.end()) / threads);
}

// How often each product is run for a sequence of `tokens`.
std::map<Shape, double> ShapesOf(const worker::Architecture& a, int64_t tokens,
                                 int64_t rows) {
  std::map<Shape, double> count;
  const double panels = static_cast<double>(tokens) / rows;
  for (const auto& block : a.blocks) {
    for (const auto& linear : block.linears) {
      count[{1, rows, linear.cols, linear.rows}] += panels;
    }
    const int64_t queries = std::min(rows, tokens);
    for (int64_t keys = queries; keys <= tokens; keys += queries) {
      count[{a.attention.heads, queries, a.attention.head_dim, keys}] += 1;
      count[{a.attention.heads, queries, keys, a.attention.head_dim}] += 1;
    }
  }
  count[{1, rows, a.hidden, a.vocab}] += panels;
  return count;
}

void Measure(const worker::Architecture& a, int64_t tokens, bool bf16,
             int threads) {
  double best = 0;
  std::string by_rows;
  for (const int64_t rows : {256, 512, 1024, 2048}) {
    double seconds = 0;
    for (const auto& [shape, count] : ShapesOf(a, tokens, rows)) {
      seconds += count * Seconds(shape, bf16, threads);
    }
    best = std::max(best, tokens / seconds);
    by_rows += (by_rows.empty() ? "" : ", ") + ("\"" + std::to_string(rows)) +
               "\": " + std::to_string(tokens / seconds);
  }
  std::printf("{\"tokens_per_second\": %.1f, \"by_rows\": {%s}}\n", best,
              by_rows.c_str());
  std::fflush(stdout);
}

}  // namespace
}  // namespace evopress

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: matmul_limit MODEL TOKENS [THREADS]\n");
    return 2;
  }
  const int threads =
      argc > 3 ? std::atoi(argv[3]) : std::thread::hardware_concurrency();
  const auto arithmetic = evopress::worker::DetectArithmetic();
  evopress::worker::ThreadArena arena(threads);
  const auto model = evopress::worker::LoadModel(argv[1], arithmetic, arena);
  if (!model.ok()) {
    std::fprintf(stderr, "%s\n", std::string(model.status().message()).c_str());
    return 1;
  }
  std::printf("ready\n");
  std::fflush(stdout);
  std::string line;
  while (std::getline(std::cin, line)) {
    evopress::Measure(model->architecture, std::atoll(argv[2]),
                      arithmetic == evopress::worker::Arithmetic::kBf16,
                      threads);
  }
  return 0;
}
