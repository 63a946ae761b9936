// A fixed team of spinning threads for loops that are too short to start threads for.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace sentinel {

// The caller is member 0 of the team; size()-1 workers wait: they spin for a bounded time after
// the last call, then sleep. One call at a time; not re-entrant.
//
// A call ends when its shares are done, not when every member has come: a member that the system
// has taken off its core holds up the others by no more than the one share that it had begun.
class ThreadPool {
 public:
  static constexpr int kMaxSharesPerThread = 8;

  // 1 <= n_threads <= 1024, else Error (usage).
  explicit ThreadPool(int n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return n_threads_; }

  // Calls body(share, member) for every share in [0, size() * per_thread), each once, and returns
  // when all are done. Member m begins with the shares from m * per_thread on, which keeps their
  // data in its cache from call to call, then takes what others have not begun; no two calls of a
  // body have the same member at the same time. The body must not throw. Allocates nothing.
  // 1 <= per_thread <= kMaxSharesPerThread.
  template <typename Body>
  void run_shares(int per_thread, const Body& body) {
    run_erased(
        per_thread,
        [](const void* b, int share, int member) { (*static_cast<const Body*>(b))(share, member); },
        &body);
  }

  // Calls body(i) once for every i in [0, size()).
  template <typename Body>
  void run(const Body& body) {
    run_shares(1, [&body](int share, int) { body(share); });
  }

  // The number of cores this process may use.
  static int available_cores();
  // As many threads as asked for (fewer than 0 the constructor refuses); 0: as there are cores.
  static int count_for(int asked) { return asked == 0 ? available_cores() : asked; }

 private:
  using Function = void (*)(const void* body, int share, int member);
  struct alignas(64) Claim {
    std::atomic<uint64_t> call{0};  // the last call in which this share was taken
  };

  void stop();
  void run_erased(int per_thread, Function function, const void* body);
  void work(int member);
  void wait_for_call(uint64_t after);
  void take_shares(int member, uint64_t call, int per_thread);
  void take_share(int member, uint64_t call, int share);

  const int n_threads_;
  const std::unique_ptr<Claim[]> claims_;
  Function function_ = nullptr;
  const void* body_ = nullptr;
  // The number of the call, its shares per thread, and how many shares are done.
  alignas(64) std::atomic<uint64_t> state_{0};
  std::atomic<bool> stop_{false};
  std::atomic<int> sleepers_{0};
  // A forked child has a copy of all this but none of the threads: it lets go of the crew, because
  // to destroy what they slept on would wait for them.
  struct Crew {
    std::mutex mutex;
    std::condition_variable wake;
    std::vector<std::thread> workers;
  };
  const pid_t owner_;
  std::unique_ptr<Crew> crew_ = std::make_unique<Crew>();
};

// The half-open part of [0, n) that belongs to part `index` of `parts`, sizes differing by <= 1.
struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};
inline Range share(int64_t n, int index, int parts) {
  return {n * index / parts, n * (index + 1) / parts};
}

}  // namespace sentinel
