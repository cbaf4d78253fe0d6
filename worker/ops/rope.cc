#include "worker/ops/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "worker/ops/vector_math.h"

namespace evopress::worker {
namespace {

// Low frequencies are divided by the factor, high ones kept, those between
// blended.
double ScaleLlama3(const RopeSpec& spec, double frequency) {
  const double wavelength = 2 * std::numbers::pi / frequency;
  const double low = spec.original_positions / spec.low_freq_factor;
  const double high = spec.original_positions / spec.high_freq_factor;
  if (wavelength < high) return frequency;
  if (wavelength > low) return frequency / spec.factor;
  const double smooth =
      (spec.original_positions / wavelength - spec.low_freq_factor) /
      (spec.high_freq_factor - spec.low_freq_factor);
  return (1 - smooth) * frequency / spec.factor + smooth * frequency;
}

// The dimension whose wavelength makes `rotations` turns over the context.
double CorrectionDim(const RopeSpec& spec, double rotations) {
  return spec.dims *
         std::log(spec.original_positions /
                  (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(spec.base));
}

// YaRN (arXiv 2309.00071): a ramp from kept to interpolated frequencies.
void ScaleYarn(const RopeSpec& spec, std::vector<double>& frequencies) {
  double low = CorrectionDim(spec, spec.beta_fast);
  double high = CorrectionDim(spec, spec.beta_slow);
  if (spec.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(spec.dims - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp =
        std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    frequencies[i] =
        frequencies[i] / spec.factor * ramp + frequencies[i] * (1 - ramp);
  }
}

}  // namespace

std::vector<double> RopeFrequencies(const RopeSpec& spec) {
  std::vector<double> frequencies(spec.dims / 2);
  for (size_t i = 0; i < frequencies.size(); ++i) {
    frequencies[i] = std::pow(spec.base, -2.0 * i / spec.dims);
    if (spec.scaling == RopeSpec::Scaling::kLinear) {
      frequencies[i] /= spec.factor;
    } else if (spec.scaling == RopeSpec::Scaling::kLlama3) {
      frequencies[i] = ScaleLlama3(spec, frequencies[i]);
    }
  }
  if (spec.scaling == RopeSpec::Scaling::kYarn) ScaleYarn(spec, frequencies);
  return frequencies;
}

RopeTable::RopeTable(const RopeSpec& spec, int64_t positions)
    : half_(spec.dims / 2),
      positions_(positions),
      cos_(positions * half_),
      sin_(positions * half_) {
  const std::vector<double> frequencies = RopeFrequencies(spec);
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t i = 0; i < half_; ++i) {
      const double angle = static_cast<double>(p) * frequencies[i];
      cos_[p * half_ + i] = std::cos(angle) * spec.attention_factor;
      sin_[p * half_ + i] = std::sin(angle) * spec.attention_factor;
    }
  }
}

void RopeTable::Apply(int64_t first, int64_t rows, int64_t heads,
                      int64_t head_dim, float* x) const {
  for (int64_t r = 0; r < rows; ++r) {
    const float* const cos = cos_.data() + (first + r) * half_;
    const float* const sin = sin_.data() + (first + r) * half_;
    for (int64_t h = 0; h < heads; ++h, x += head_dim) {
      float* const y = x + half_;
      int64_t i = 0;
      for (; i + 8 <= half_; i += 8) {
        const __m256 c = _mm256_loadu_ps(cos + i);
        const __m256 s = _mm256_loadu_ps(sin + i);
        const __m256 a = _mm256_loadu_ps(x + i);
        const __m256 b = _mm256_loadu_ps(y + i);
        _mm256_storeu_ps(
            x + i, _mm256_sub_ps(_mm256_mul_ps(a, c), _mm256_mul_ps(b, s)));
        _mm256_storeu_ps(
            y + i, _mm256_add_ps(_mm256_mul_ps(b, c), _mm256_mul_ps(a, s)));
      }
      for (; i < half_; ++i) {
        const float a = x[i];
        const float b = y[i];
        x[i] = a * cos[i] - b * sin[i];
        y[i] = b * cos[i] + a * sin[i];
      }
    }
  }
}

}  // namespace evopress::worker
