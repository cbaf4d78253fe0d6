// Random layers with correlated inputs, for tests of quantizers.
#ifndef EVOPRESS_TESTS_QUANT_RANDOM_LAYER_H_
#define EVOPRESS_TESTS_QUANT_RANDOM_LAYER_H_

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "quant/compressor.h"

namespace evopress::quant {

struct RandomLayer {
  WeightShape shape;
  std::vector<float> weight;
  Gram gram;

  LayerContext Context() const {
    LayerContext context;
    context.name = "random";
    context.shape = shape;
    context.weight = weight;
    context.gram = &gram;
    return context;
  }
};

// Inputs share a few hidden causes; some are ten times as large as others.
inline RandomLayer MakeRandomLayer(uint64_t seed, int64_t rows, int64_t cols,
                                   int tokens) {
  std::mt19937_64 rng(seed);
  std::normal_distribution<float> normal;
  RandomLayer layer;
  layer.shape = {rows, cols};
  layer.weight.resize(rows * cols);
  for (float& w : layer.weight) w = 0.05f * normal(rng);
  constexpr int kCauses = 6;
  std::vector<float> mixing(kCauses * cols);
  for (float& m : mixing) m = normal(rng);
  layer.gram.n = cols;
  layer.gram.tokens = tokens;
  std::vector<double> sum(cols * cols);
  std::vector<float> x(cols);
  for (int t = 0; t < tokens; ++t) {
    float causes[kCauses];
    for (float& cause : causes) cause = normal(rng);
    for (int64_t i = 0; i < cols; ++i) {
      x[i] = normal(rng);
      for (int k = 0; k < kCauses; ++k)
        x[i] += mixing[k * cols + i] * causes[k];
      if (i % 13 == 5) x[i] *= 10;
    }
    for (int64_t i = 0; i < cols; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        sum[i * cols + j] += static_cast<double>(x[i]) * x[j];
      }
    }
  }
  layer.gram.values.assign(sum.begin(), sum.end());
  return layer;
}

inline search::LevelName MakeLevel(const std::string& method, int bits,
                                   int group, bool symmetric = false,
                                   bool act_order = false,
                                   bool scale_search = false) {
  search::LevelName level;
  level.method = method;
  level.bits = bits;
  level.group_size = group;
  level.symmetric = symmetric;
  level.act_order = act_order;
  level.scale_search = scale_search;
  return level;
}

// tr(D H D^T) in float64, D = unpacked - weight; H = I for no Gram.
inline double ErrorOf(const PackedWeight& packed, const LayerContext& layer,
                      const Gram* gram) {
  const int64_t n = layer.shape.cols;
  std::vector<float> values(layer.weight.size());
  if (!Unpack(packed, absl::MakeSpan(values)).ok()) return NAN;
  double error = 0;
  std::vector<double> d(n);
  for (int64_t r = 0; r < layer.shape.rows; ++r) {
    for (int64_t c = 0; c < n; ++c) {
      d[c] = static_cast<double>(values[r * n + c]) - layer.weight[r * n + c];
    }
    for (int64_t i = 0; i < n; ++i) {
      if (gram == nullptr) {
        error += d[i] * d[i];
        continue;
      }
      double sum = 0;
      for (int64_t j = 0; j < n; ++j) {
        sum += d[j] * static_cast<double>(gram->values[i * n + j]);
      }
      error += d[i] * sum;
    }
  }
  return error;
}

// The same for the weights themselves.
inline double EnergyOf(const LayerContext& layer, const Gram* gram) {
  const int64_t n = layer.shape.cols;
  double energy = 0;
  for (int64_t r = 0; r < layer.shape.rows; ++r) {
    const float* w = layer.weight.data() + r * n;
    for (int64_t i = 0; i < n; ++i) {
      if (gram == nullptr) {
        energy += static_cast<double>(w[i]) * w[i];
        continue;
      }
      double sum = 0;
      for (int64_t j = 0; j < n; ++j) {
        sum += static_cast<double>(w[j]) * gram->values[i * n + j];
      }
      energy += w[i] * sum;
    }
  }
  return energy;
}

}  // namespace evopress::quant

#endif  // EVOPRESS_TESTS_QUANT_RANDOM_LAYER_H_
