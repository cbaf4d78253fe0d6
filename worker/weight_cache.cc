#include "worker/weight_cache.h"

#include <chrono>
#include <vector>

#include "absl/strings/str_cat.h"
#include "quant/packed_weight.h"

namespace evopress::worker {

absl::StatusOr<std::shared_ptr<const PackedMatrix>> WeightCache::Get(
    const LinearSpec& linear, const std::string& blob) {
  const Key key(linear.name, blob);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto it = entries_.find(key);
    if (it != entries_.end()) {
      uses_.splice(uses_.begin(), uses_, it->second.use);
      return it->second.matrix;
    }
  }
  const auto begin = std::chrono::steady_clock::now();
  auto matrix = Prepare(linear, blob);
  if (!matrix.ok()) return matrix;
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - begin;
  const std::lock_guard<std::mutex> lock(mutex_);
  prepare_seconds_ += seconds.count();
  if (entries_.contains(key)) return entries_[key].matrix;
  uses_.push_front(key);
  entries_[key] = {*matrix, uses_.begin()};
  bytes_ += (*matrix)->bytes();
  while (bytes_ > limit_bytes_ && !uses_.empty()) {
    const auto oldest = entries_.find(uses_.back());
    bytes_ -= oldest->second.matrix->bytes();
    entries_.erase(oldest);
    uses_.pop_back();
  }
  return matrix;
}

double WeightCache::prepare_seconds() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return prepare_seconds_;
}

int64_t WeightCache::bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return bytes_;
}

absl::StatusOr<std::shared_ptr<const PackedMatrix>> WeightCache::Prepare(
    const LinearSpec& linear, const std::string& blob) const {
  std::vector<float> values(linear.rows * linear.cols);
  const absl::Span<float> out(values.data(), values.size());
  if (blob.empty()) {
    if (absl::Status s =
            model_.checkpoint->ReadF32(linear.name + ".weight", out);
        !s.ok()) {
      return s;
    }
  } else {
    auto packed = quant::ReadBlob(blob);
    if (!packed.ok()) {
      return absl::Status(
          packed.status().code(),
          absl::StrCat("level blob '", blob, "' of layer '", linear.name,
                       "': ", packed.status().message()));
    }
    if (packed->rows != linear.rows || packed->cols != linear.cols) {
      return absl::InvalidArgumentError(
          absl::StrCat("level blob '", blob, "' is ", packed->rows, " x ",
                       packed->cols, ", but layer '", linear.name, "' is ",
                       linear.rows, " x ", linear.cols));
    }
    if (absl::Status s = quant::Unpack(*packed, out); !s.ok()) return s;
  }
  return PackedMatrix::Create(model_.arithmetic, values, linear.rows,
                              linear.cols);
}

}  // namespace evopress::worker
