// Values by key, the least recently used first out.
#ifndef EVOPRESS_WORKER_TORCH_LRU_CACHE_H_
#define EVOPRESS_WORKER_TORCH_LRU_CACHE_H_

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

namespace evopress::worker {

// Thread-safe. A value in use lives on when it is dropped.
template <typename Key, typename Value>
class LruCache {
 public:
  explicit LruCache(int64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  // Null if unknown.
  std::shared_ptr<const Value> Find(const Key& key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto it = entries_.find(key);
    if (it == entries_.end()) return nullptr;
    uses_.splice(uses_.begin(), uses_, it->second.use);
    return it->second.value;
  }

  // Keeps `value`, or what another thread has put there meanwhile.
  void Insert(const Key& key, std::shared_ptr<const Value> value,
              int64_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto [it, inserted] = entries_.try_emplace(key);
    if (!inserted) return;
    uses_.push_front(&it->first);
    it->second = {std::move(value), bytes, uses_.begin()};
    bytes_ += bytes;
    while (bytes_ > limit_bytes_ && !uses_.empty()) {
      const auto oldest = entries_.find(*uses_.back());
      bytes_ -= oldest->second.bytes;
      uses_.pop_back();
      entries_.erase(oldest);
    }
  }

 private:
  struct Entry {
    std::shared_ptr<const Value> value;
    int64_t bytes = 0;
    typename std::list<const Key*>::iterator use;
  };

  const int64_t limit_bytes_;
  std::mutex mutex_;  // guards what follows
  int64_t bytes_ = 0;
  std::map<Key, Entry> entries_;
  std::list<const Key*> uses_;  // most recent first; point into entries_
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_TORCH_LRU_CACHE_H_
