// worker/teacher_cache.h
// What the uncompressed model makes of a sample: final hidden states and, for
// each position, what the losses need of its distribution. Logits are not
// kept, nor needed again.
#ifndef EVOPRESS_WORKER_TEACHER_CACHE_H_
#define EVOPRESS_WORKER_TEACHER_CACHE_H_

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "worker/block_runner.h"
#include "worker/ops/loss_head.h"

namespace evopress::worker {

// Of one sample of n tokens.
struct TeacherStates {
  AlignedVector<uint8_t> final;  // PaddedRows(n) rows after the final norm
  std::vector<TeacherPosition> positions;  // n - 1
  AlignedVector<float> mean_rows;          // n - 1 (ops/loss_head.h)

  int64_t bytes() const;
};

// Samples by their tokens, least recently used first out. Thread-compatible.
class TeacherCache {
 public:
  explicit TeacherCache(int64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  // Null if unknown.
  std::shared_ptr<const TeacherStates> Find(const std::vector<int32_t>& tokens);

  void Insert(const std::vector<int32_t>& tokens,
              std::shared_ptr<const TeacherStates> states);

 private:
  using Key = std::vector<int32_t>;
  struct Entry {
    std::shared_ptr<const TeacherStates> states;
    std::list<const Key*>::iterator use;
  };

  const int64_t limit_bytes_;
  int64_t bytes_ = 0;
  std::map<Key, Entry> entries_;
  std::list<const Key*> uses_;  // most recent first; point into entries_
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_TEACHER_CACHE_H_
