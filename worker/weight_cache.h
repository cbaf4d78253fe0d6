// worker/weight_cache.h
// Weights ready to be used, by layer and blob: prepared once and kept while
// there is room. Linear layers are unpacked and laid out to multiply with,
// heads part by part; levels of embeddings stay packed, as few of their rows
// are read.
#ifndef EVOPRESS_WORKER_WEIGHT_CACHE_H_
#define EVOPRESS_WORKER_WEIGHT_CACHE_H_

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>

#include "absl/status/statusor.h"
#include "quant/packed_rows.h"
#include "worker/architecture.h"
#include "worker/model.h"
#include "worker/ops/loss_head.h"
#include "worker/ops/matmul.h"
#include "worker/thread_arena.h"

namespace evopress::worker {

// Thread-safe. "model" must outlive this.
class WeightCache {
 public:
  // Keeps at most `limit_bytes`, dropping the least recently used. What is in
  // use stays alive, whatever the limit.
  WeightCache(const Model& model, int64_t limit_bytes)
      : model_(model), limit_bytes_(limit_bytes) {}

  // The layer's own weights when `blob` is empty, else those of the blob file.
  // InvalidArgument, naming layer and blob, for a blob of another shape.
  absl::StatusOr<std::shared_ptr<const PackedMatrix>> Get(
      const LinearSpec& linear, const std::string& blob);

  // The level `blob` of the embedding.
  absl::StatusOr<std::shared_ptr<const quant::PackedRows>> GetRows(
      const LinearSpec& embedding, const std::string& blob);

  // The level `blob` of the head, for students. Works on all of `arena`; not to
  // be called from inside it.
  absl::StatusOr<std::shared_ptr<const LossHead>> GetHead(
      const LinearSpec& head, const std::string& blob, ThreadArena& arena);

  // Thread time spent so far on unpacking and laying out.
  double prepare_seconds() const;

  // Of what is kept.
  int64_t bytes() const;

 private:
  enum Form { kMatrix, kRows, kHead };  // what a value points to
  using Key = std::tuple<Form, std::string, std::string>;  // of layer, blob
  struct Entry {
    std::shared_ptr<const void> value;
    int64_t bytes;
    std::list<Key>::iterator use;
  };

  // The value of `key`; what `make` gives if it is not kept.
  template <typename T, typename Make>
  absl::StatusOr<std::shared_ptr<const T>> Find(const Key& key,
                                                const Make& make);

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
