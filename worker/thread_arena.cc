#include "worker/thread_arena.h"

#include <omp.h>

#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <new>

#include "absl/strings/str_cat.h"
#include "oneapi/tbb/parallel_for.h"
#include "worker/available_cores.h"

namespace evopress::worker {
namespace {

thread_local int threads_before = 0;

}  // namespace

ThreadArena::OneOpenMpThread::OneOpenMpThread(tbb::task_arena& arena)
    : tbb::task_scheduler_observer(arena) {
  observe(true);
}

ThreadArena::OneOpenMpThread::~OneOpenMpThread() { observe(false); }

void ThreadArena::OneOpenMpThread::on_scheduler_entry(bool) {
  threads_before = omp_get_max_threads();
  omp_set_num_threads(1);
}

void ThreadArena::OneOpenMpThread::on_scheduler_exit(bool) {
  if (threads_before > 0) omp_set_num_threads(threads_before);
}

ThreadArena::ThreadArena(int threads)
    : arena_(threads > 0 ? threads : AvailableCores()), observer_(arena_) {
  arena_.initialize();
}

absl::Status ThreadArena::ForEach(
    int64_t n, const std::function<absl::Status(int64_t)>& work) {
  std::mutex mutex;
  absl::Status first_error;
  std::atomic<int64_t> failed = std::numeric_limits<int64_t>::max();
  const auto report = [&](int64_t i, absl::Status status) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (i >= failed) return;
    failed = i;
    first_error = std::move(status);
  };
  const auto call = [&](int64_t i) {
    if (i > failed) return;
    try {
      if (absl::Status status = work(i); !status.ok()) {
        report(i, std::move(status));
      }
    } catch (const std::bad_alloc&) {
      report(i, absl::ResourceExhaustedError("out of memory"));
    } catch (const std::exception& error) {
      report(i, absl::InternalError(absl::StrCat("engine: ", error.what())));
    }
  };
  try {
    arena_.execute([&] {
      tbb::parallel_for(
          tbb::blocked_range<int64_t>(0, n, 1),
          [&](const tbb::blocked_range<int64_t>& range) {
            for (int64_t i = range.begin(); i < range.end(); ++i) call(i);
          },
          tbb::simple_partitioner());
    });
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("oneTBB: ", error.what()));
  }
  return first_error;
}

}  // namespace evopress::worker
