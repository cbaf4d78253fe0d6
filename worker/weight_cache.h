// worker/weight_cache.h
// Linear layers ready to multiply with, by layer and blob: unpacked once and
// kept while there is room.
#ifndef EVOPRESS_WORKER_WEIGHT_CACHE_H_
#define EVOPRESS_WORKER_WEIGHT_CACHE_H_

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "worker/architecture.h"
#include "worker/model.h"
#include "worker/ops/matmul.h"

namespace evopress::worker {

// Thread-safe. "model" must outlive this.
class WeightCache {
 public:
  // Keeps at most `limit_bytes`, dropping the least recently used. A matrix in
  // use stays alive, whatever the limit.
  WeightCache(const Model& model, int64_t limit_bytes)
      : model_(model), limit_bytes_(limit_bytes) {}

  // The layer's own weights when `blob` is empty, else those of the blob file.
  // InvalidArgument, naming layer and blob, for a blob of another shape.
  absl::StatusOr<std::shared_ptr<const PackedMatrix>> Get(
      const LinearSpec& linear, const std::string& blob);

  // Thread time spent so far on unpacking and laying out.
  double prepare_seconds() const;

  // Of the matrices kept.
  int64_t bytes() const;

 private:
  using Key = std::pair<std::string, std::string>;  // layer, blob
  struct Entry {
    std::shared_ptr<const PackedMatrix> matrix;
    std::list<Key>::iterator use;
  };

  absl::StatusOr<std::shared_ptr<const PackedMatrix>> Prepare(
      const LinearSpec& linear, const std::string& blob) const;

  const Model& model_;
  const int64_t limit_bytes_;
  mutable std::mutex mutex_;  // guards what follows
  std::map<Key, Entry> entries_;
  std::list<Key> uses_;  // most recent first
  int64_t bytes_ = 0;
  double prepare_seconds_ = 0;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_WEIGHT_CACHE_H_
