#include "worker/model_profile.h"

#include <algorithm>
#include <cmath>

namespace evopress::worker {
namespace {

// Sums run side by side, so that additions need not wait for each other.
constexpr int64_t kLanes = 8;

struct Products {
  double lanes[kLanes] = {};

  double Sum() const {
    double sum = 0;
    for (const double lane : lanes) sum += lane;
    return sum;
  }
};

Flow FlowOfToken(const float* x, const float* y, int64_t hidden) {
  Products xx, yy, xy, added;
  const auto add = [&](int64_t i, int64_t lane) {
    const double a = x[i], b = y[i];
    xx.lanes[lane] += a * a;
    yy.lanes[lane] += b * b;
    xy.lanes[lane] += a * b;
    added.lanes[lane] += (b - a) * (b - a);
  };
  int64_t i = 0;
  for (; i + kLanes <= hidden; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) add(i + lane, lane);
  }
  for (int64_t lane = 0; i < hidden; ++i, ++lane) add(i, lane);
  const double norms = std::sqrt(xx.Sum()) * std::sqrt(yy.Sum());
  const double norm = std::sqrt(yy.Sum());
  Flow flow;
  flow.cosine = norms > 0 ? std::clamp(xy.Sum() / norms, -1.0, 1.0) : 0.0;
  flow.angle = std::acos(flow.cosine) / M_PI;
  flow.magnitude = norm > 0 ? std::sqrt(added.Sum()) / norm : 1.0;
  return flow;
}

}  // namespace

void Flow::Add(const Flow& other) {
  cosine += other.cosine;
  angle += other.angle;
  magnitude += other.magnitude;
}

ModelProfile EmptyProfile(const Architecture& architecture) {
  ModelProfile profile;
  const size_t blocks = architecture.blocks.size();
  for (size_t b = 0; b < blocks; ++b) {
    const BlockSpec& spec = architecture.blocks[b];
    BlockProfile& block = profile.blocks.emplace_back();
    block.modules = {{spec.attention, {}}, {spec.mlp, {}}};
    block.input_powers.resize(InputSites(spec));
    block.windows.resize(blocks - b);
    for (size_t slot = 0; slot < spec.linears.size(); ++slot) {
      const int site = SiteOfSlot(static_cast<int>(slot));
      block.layers.push_back({spec.linears[slot].name, site});
      block.input_powers[site].resize(spec.linears[slot].cols);
    }
  }
  return profile;
}

Flow MeasureFlow(const float* from, const float* to, int64_t tokens,
                 int64_t hidden) {
  Flow sum;
  for (int64_t t = 0; t < tokens; ++t) {
    sum.Add(FlowOfToken(from + t * hidden, to + t * hidden, hidden));
  }
  return sum;
}

}  // namespace evopress::worker
