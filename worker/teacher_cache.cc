#include "worker/teacher_cache.h"

#include <utility>

namespace evopress::worker {

int64_t TeacherStates::bytes() const {
  int64_t total = final.size() + mean_rows.size() * sizeof(float);
  for (const TeacherPosition& p : positions) {
    total += sizeof(p) + p.top.size() * (sizeof(int32_t) + 2 * sizeof(float));
  }
  return total;
}

std::shared_ptr<const TeacherStates> TeacherCache::Find(
    const std::vector<int32_t>& tokens) {
  const auto it = entries_.find(tokens);
  if (it == entries_.end()) return nullptr;
  uses_.splice(uses_.begin(), uses_, it->second.use);
  return it->second.states;
}

void TeacherCache::Insert(const std::vector<int32_t>& tokens,
                          std::shared_ptr<const TeacherStates> states) {
  const int64_t size = states->bytes();
  const auto [it, inserted] = entries_.try_emplace(tokens);
  if (!inserted) return;
  uses_.push_front(&it->first);
  it->second = {std::move(states), uses_.begin()};
  bytes_ += size;
  while (bytes_ > limit_bytes_ && !uses_.empty()) {
    const auto oldest = entries_.find(*uses_.back());
    bytes_ -= oldest->second.states->bytes();
    uses_.pop_back();
    entries_.erase(oldest);
  }
}

}  // namespace evopress::worker
