// Losses at every position, to be held against those of transformers
// (tests/golden/make_engine_goldens.py).
#ifndef EVOPRESS_TESTS_WORKER_GOLDEN_LOSSES_H_
#define EVOPRESS_TESTS_WORKER_GOLDEN_LOSSES_H_

#include <cmath>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "tests/worker/engine_fixture.h"
#include "worker/evaluator.h"

namespace evopress::worker {

// Losses of every position come from prefixes: the sum over n tokens minus
// that over n-1 is the loss at the last one.
inline std::vector<double> PositionLossesOf(
    Evaluator& evaluator, const std::vector<int32_t>& tokens) {
  EvaluateRequest request;
  request.assignments.resize(1);
  for (size_t n = 2; n <= tokens.size(); ++n) {
    request.samples.emplace_back(tokens.begin(), tokens.begin() + n);
  }
  const auto response = evaluator.Evaluate(request, nullptr);
  EXPECT_TRUE(response.ok()) << response.status();
  std::vector<double> losses;
  double before = 0;
  if (!response.ok()) return losses;
  for (const auto& sums : response->results[0]) {
    losses.push_back(sums.nll - before);
    before = sums.nll;
  }
  return losses;
}

inline double Mean(const std::vector<double>& x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / x.size();
}

inline double Correlation(const std::vector<double>& x,
                          const std::vector<double>& y) {
  const double mx = Mean(x);
  const double my = Mean(y);
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mx) * (y[i] - my);
    xx += (x[i] - mx) * (x[i] - mx);
    yy += (y[i] - my) * (y[i] - my);
  }
  return xy / std::sqrt(xx * yy);
}

inline const std::vector<std::string>& GoldenArchitectures() {
  static const auto& names = *new std::vector<std::string>{
      "llama_linear", "llama_llama3", "mistral_window", "qwen2_yarn",
      "qwen3",        "gemma3",       "mixtral",        "qwen3_moe"};
  return names;
}

// How far an engine may be from transformers in float32.
struct GoldenBound {
  double relative_mean;
  double correlation;
  // Share of positions that the correlation leaves out, those farthest off.
  double strays = 0;
};
inline constexpr GoldenBound kFloat32Bound = {1e-4, 0.9999999};

// Rounding factors to bfloat16 costs the committed models some, whose large
// weights make attention sharp; float32 shows whether the architecture is
// right. Models as transformers initializes them must do better. Rounding may
// also send a token near the border between two experts to the other one, and
// later positions attend to it.
inline GoldenBound BfloatBound(const std::string& name) {
  const bool experts = name == "mixtral" || name == "qwen3_moe";
  return {0.02, std::getenv("EVOPRESS_ENGINE_GOLDENS") ? 0.9999 : 0.9997,
          experts ? 0.25 : 0};
}

// Both without the `strays` positions at which they differ most.
inline void LeaveOutStrays(double strays, std::vector<double>& got,
                           std::vector<double>& want) {
  for (auto left = static_cast<size_t>(strays * got.size()); left > 0; --left) {
    size_t farthest = 0;
    for (size_t i = 1; i < got.size(); ++i) {
      if (std::abs(got[i] - want[i]) >
          std::abs(got[farthest] - want[farthest])) {
        farthest = i;
      }
    }
    got.erase(got.begin() + farthest);
    want.erase(want.begin() + farthest);
  }
}

inline void ExpectGoldenLosses(Evaluator& evaluator, const std::string& name,
                               const GoldenBound& bound) {
  const nlohmann::json goldens = ReadGolden("nll.json");
  ASSERT_FALSE(goldens[name].empty());
  for (const auto& sample : goldens[name]) {
    std::vector<double> want = sample["nll"];
    std::vector<double> got = PositionLossesOf(evaluator, sample["tokens"]);
    ASSERT_EQ(got.size(), want.size());
    std::printf("%s: mean %.5f of %.5f, correlation %.7f\n", name.c_str(),
                Mean(got), Mean(want), Correlation(got, want));
    EXPECT_NEAR(Mean(got), Mean(want), bound.relative_mean * Mean(want));
    LeaveOutStrays(bound.strays, got, want);
    EXPECT_GT(Correlation(got, want), bound.correlation);
  }
}

}  // namespace evopress::worker

#endif  // EVOPRESS_TESTS_WORKER_GOLDEN_LOSSES_H_
