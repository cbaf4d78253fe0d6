// worker/thread_arena.h
// The threads of an engine: oneTBB above, OpenMP held at one thread below, so
// that oneDNN's rounding cannot depend on how many there are.
#ifndef EVOPRESS_WORKER_THREAD_ARENA_H_
#define EVOPRESS_WORKER_THREAD_ARENA_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "oneapi/tbb/task_arena.h"
#include "oneapi/tbb/task_scheduler_observer.h"

namespace evopress::worker {

// Thread-compatible.
class ThreadArena {
 public:
  // threads 0: one per core that this process may use.
  explicit ThreadArena(int threads);

  int threads() const { return arena_.max_concurrency(); }

  // Calls work(0) … work(n-1), in parallel and in no fixed order. The error of
  // the lowest index that failed; some later calls may then not be made.
  absl::Status ForEach(int64_t n,
                       const std::function<absl::Status(int64_t)>& work);

 private:
  // OpenMP keeps the number of threads per calling thread.
  class OneOpenMpThread : public tbb::task_scheduler_observer {
   public:
    explicit OneOpenMpThread(tbb::task_arena& arena);
    ~OneOpenMpThread() override;
    void on_scheduler_entry(bool is_worker) override;
    void on_scheduler_exit(bool is_worker) override;
  };

  tbb::task_arena arena_;
  OneOpenMpThread observer_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_THREAD_ARENA_H_
