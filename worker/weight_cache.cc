#include "worker/weight_cache.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "quant/packed_weight.h"

namespace evopress::worker {
namespace {

// The blob's weight, of the layer's shape.
absl::StatusOr<quant::PackedWeight> ReadLevel(const LinearSpec& linear,
                                              const std::string& blob) {
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
  return packed;
}

}  // namespace

template <typename T, typename Make>
absl::StatusOr<std::shared_ptr<const T>> WeightCache::Find(const Key& key,
                                                           const Make& make) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto it = entries_.find(key);
    if (it != entries_.end()) {
      uses_.splice(uses_.begin(), uses_, it->second.use);
      return std::static_pointer_cast<const T>(it->second.value);
    }
  }
  const auto begin = std::chrono::steady_clock::now();
  absl::StatusOr<std::shared_ptr<const T>> value = make();
  if (!value.ok()) return value;
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - begin;
  const std::lock_guard<std::mutex> lock(mutex_);
  prepare_seconds_ += seconds.count();
  const auto it = entries_.find(key);
  if (it != entries_.end()) {
    return std::static_pointer_cast<const T>(it->second.value);
  }
  uses_.push_front(key);
  entries_[key] = {*value, (*value)->bytes(), uses_.begin()};
  bytes_ += (*value)->bytes();
  while (bytes_ > limit_bytes_ && !uses_.empty()) {
    const auto oldest = entries_.find(uses_.back());
    bytes_ -= oldest->second.bytes;
    entries_.erase(oldest);
    uses_.pop_back();
  }
  return value;
}

absl::StatusOr<std::shared_ptr<const PackedMatrix>> WeightCache::Get(
    const LinearSpec& linear, const std::string& blob) {
  return Find<PackedMatrix>({kMatrix, linear.name, blob},
                            [&] { return Prepare(linear, blob); });
}

absl::StatusOr<std::shared_ptr<const quant::PackedRows>> WeightCache::GetRows(
    const LinearSpec& embedding, const std::string& blob) {
  return Find<quant::PackedRows>(
      {kRows, embedding.name, blob},
      [&]() -> absl::StatusOr<std::shared_ptr<const quant::PackedRows>> {
        auto packed = ReadLevel(embedding, blob);
        if (!packed.ok()) return packed.status();
        auto rows = quant::PackedRows::Create(*std::move(packed));
        if (!rows.ok()) return rows.status();
        return std::make_shared<const quant::PackedRows>(*std::move(rows));
      });
}

absl::StatusOr<std::shared_ptr<const LossHead>> WeightCache::GetHead(
    const LinearSpec& head, const std::string& blob, ThreadArena& arena) {
  return Find<LossHead>(
      {kHead, head.name, blob},
      [&]() -> absl::StatusOr<std::shared_ptr<const LossHead>> {
        auto packed = ReadLevel(head, blob);
        if (!packed.ok()) return packed.status();
        auto rows = quant::PackedRows::Create(*std::move(packed));
        if (!rows.ok()) return rows.status();
        std::vector<std::shared_ptr<const PackedMatrix>> parts(
            (head.rows + LossHead::kPartRows - 1) / LossHead::kPartRows);
        absl::Status status =
            arena.ForEach(parts.size(), [&](int64_t i) -> absl::Status {
              const int64_t first = i * LossHead::kPartRows;
              const int64_t count =
                  std::min(LossHead::kPartRows, head.rows - first);
              std::vector<float> values(count * head.cols);
              absl::Status s =
                  rows->Unpack(first, count, absl::MakeSpan(values));
              if (!s.ok()) return s;
              auto part = PackedMatrix::Create(model_.arithmetic, values, count,
                                               head.cols);
              if (!part.ok()) return part.status();
              parts[i] = *std::move(part);
              return absl::OkStatus();
            });
        if (!status.ok()) return status;
        return std::make_shared<const LossHead>(
            LossHead::OfParts(model_.arithmetic, std::move(parts),
                              model_.architecture.final_softcap));
      });
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
    auto packed = ReadLevel(linear, blob);
    if (!packed.ok()) return packed.status();
    if (absl::Status s = quant::Unpack(*packed, out); !s.ok()) return s;
  }
  return PackedMatrix::Create(model_.arithmetic, values, linear.rows,
                              linear.cols);
}

}  // namespace evopress::worker
