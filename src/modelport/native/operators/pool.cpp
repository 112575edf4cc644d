#include "pool.h"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace modelport {
namespace {

struct Job {
  void (*piece)(void*, size_t);
  void* data;
  size_t pieces;
  std::atomic<size_t> next{0};

  void work() {
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < pieces;) piece(data, i);
  }
};

// Workers wait for one job at a time; a second caller at the same time works alone.
class Pool {
 public:
  bool try_run(int helpers, Job& job) {
    std::unique_lock<std::mutex> owner(owner_, std::try_to_lock);
    if (!owner.owns_lock()) return false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (workers_ < helpers) {
        std::thread([this, index = workers_] { serve(index); }).detach();
        ++workers_;
      }
      job_ = &job;
      wanted_ = helpers;
      ++round_;
    }
    wake_.notify_all();
    job.work();
    std::unique_lock<std::mutex> lock(mutex_);
    job_ = nullptr;  // who wakes up now comes too late
    done_.wait(lock, [this] { return busy_ == 0; });
    return true;
  }

 private:
  void serve(int index) {
    unsigned long seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return round_ != seen; });
      seen = round_;
      if (!job_ || index >= wanted_) continue;
      Job& job = *job_;
      ++busy_;
      lock.unlock();
      job.work();
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::mutex owner_, mutex_;
  std::condition_variable wake_, done_;
  Job* job_ = nullptr;
  unsigned long round_ = 0;
  int wanted_ = 0, workers_ = 0, busy_ = 0;
};

// Never destroyed: its threads may outlive the statics of this library. A forked child has none
// of them and begins with a pool of its own.
std::atomic<Pool*> current{nullptr};

Pool& pool() {
  Pool* known = current.load(std::memory_order_acquire);
  if (known) return *known;
  static const int registered = pthread_atfork(nullptr, nullptr, [] { current.store(nullptr); });
  (void)registered;
  Pool* made = new Pool;
  if (!current.compare_exchange_strong(known, made)) {
    delete made;
    return *known;
  }
  return *made;
}

}  // namespace

void run_on_pool(int threads, size_t pieces, void (*piece)(void*, size_t), void* data) {
  Job job{piece, data, pieces};
  const int helpers =
      static_cast<int>(pieces < static_cast<size_t>(threads) ? pieces : static_cast<size_t>(threads)) - 1;
  if (helpers < 1 || !pool().try_run(helpers, job)) job.work();
}

}  // namespace modelport
