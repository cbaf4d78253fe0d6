// The hash chain over all rounds: the proof that two searches were the same.
//
//   H_0     = sha256(origin)
//   H_{n+1} = sha256(H_n, round: index, assignments, samples; result bits)
//
// Two runs with equal heads asked the same questions in the same order and got
// the same bits as answers.
#ifndef EVOPRESS_SEARCH_HISTORY_H_
#define EVOPRESS_SEARCH_HISTORY_H_

#include <cstdint>
#include <string>

#include "search/strategy.h"

namespace evopress::search {

// A plain value; thread-compatible.
class History {
 public:
  // `origin` names the job, e.g. the hash of its spec.
  explicit History(const std::string& origin);

  // Goes on from a stored head.
  History(std::string head, int64_t rounds);

  void Add(const Round& round, const RoundResults& results);

  const std::string& head() const { return head_; }  // 64 hex digits
  int64_t rounds() const { return rounds_; }

 private:
  std::string head_;
  int64_t rounds_ = 0;
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_HISTORY_H_
