// A fixed team of spinning workers for fork-join loops with cheap barriers inside.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace sentinel {

// A reusable barrier over a fixed number of threads: spins, and yields when it takes long.
class SpinBarrier {
 public:
  explicit SpinBarrier(int n_threads) : n_threads_(n_threads) {}
  void wait();

 private:
  const int n_threads_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> epoch_{0};
};

// The caller is member 0 of the team; size()-1 workers wait: they spin for a bounded time after
// the last call, then sleep. One call at a time; not re-entrant.
class ThreadPool {
 public:
  // 1 <= n_threads <= 1024, else Error (usage).
  explicit ThreadPool(int n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return n_threads_; }

  // Runs body(thread_index) once on every member and returns when all are done. Members may meet
  // at barrier(). The body must not throw. Allocates nothing.
  template <typename Body>
  void run(const Body& body) {
    run_erased([](const void* b, int thread) { (*static_cast<const Body*>(b))(thread); }, &body);
  }
  void barrier() { barrier_.wait(); }

  // The number of cores this process may use.
  static int available_cores();

 private:
  using Function = void (*)(const void* body, int thread);
  void run_erased(Function function, const void* body);
  void work(int thread);

  const int n_threads_;
  SpinBarrier barrier_;
  Function function_ = nullptr;
  const void* body_ = nullptr;
  alignas(64) std::atomic<uint32_t> generation_{0};
  alignas(64) std::atomic<int> done_{0};
  std::atomic<bool> stop_{false};
  std::atomic<int> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
};

// The half-open part of [0, n) that belongs to `thread` of `n_threads`, sizes differing by <= 1.
struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};
inline Range share(int64_t n, int thread, int n_threads) {
  return {n * thread / n_threads, n * (thread + 1) / n_threads};
}

}  // namespace sentinel
