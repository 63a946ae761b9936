#include "base/thread_pool.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>

#include "base/cpu_quota.h"
#include "base/error.h"

namespace sentinel {
namespace {

using Clock = std::chrono::steady_clock;

// About 50 us of pause instructions: longer than any gap inside a decode step.
constexpr int kSpinsBeforeYield = 2000;
// Longer than sampling a token, so that a step finds its workers awake (to wake one takes as long
// as a layer), short enough that an idle program does not burn its cores.
constexpr auto kAwake = std::chrono::microseconds(500);

// state_: [call number][shares per thread: 8 bits][shares done: 16 bits].
constexpr int kPerThreadShift = 16, kCallShift = 24;
constexpr uint64_t call_of(uint64_t state) { return state >> kCallShift; }
constexpr int per_thread_of(uint64_t state) { return state >> kPerThreadShift & 0xff; }
constexpr int done_of(uint64_t state) { return state & 0xffff; }

void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

int checked(int n_threads) {
  if (n_threads < 1 || n_threads > 1024) {
    throw usage_error("threads: {} is out of range; give a number from 1 to 1024", n_threads);
  }
  return n_threads;
}

}  // namespace

ThreadPool::ThreadPool(int n_threads)
    : n_threads_(checked(n_threads)),
      claims_(new Claim[static_cast<size_t>(n_threads) * kMaxSharesPerThread]),
      owner_(getpid()) {
  try {
    for (int t = 1; t < n_threads; ++t) crew_->workers.emplace_back([this, t] { work(t); });
  } catch (const std::exception& error) {
    stop();
    throw runtime_error("threads: cannot start {} of {}: {}; ask for fewer",
                        crew_->workers.size() + 1, n_threads - 1, error.what());
  }
}

ThreadPool::~ThreadPool() {
  if (getpid() == owner_) {
    stop();
  } else {
    crew_.release();  // NOLINT: leaked on purpose
  }
}

void ThreadPool::stop() {
  {
    std::lock_guard lock(crew_->mutex);
    stop_.store(true);
  }
  crew_->wake.notify_all();
  for (auto& worker : crew_->workers) worker.join();
}

void ThreadPool::run_erased(int per_thread, Function function, const void* body) {
  const int shares = n_threads_ * per_thread;
  if (n_threads_ == 1) {
    for (int i = 0; i < shares; ++i) function(body, i, 0);
    return;
  }
  // All shares of the last call are done, so that nobody reads these.
  function_ = function;
  body_ = body;
  const uint64_t call = call_of(state_.load(std::memory_order_relaxed)) + 1;
  state_.store(call << kCallShift | static_cast<uint64_t>(per_thread) << kPerThreadShift,
               std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) > 0 && getpid() == owner_) {
    std::lock_guard lock(crew_->mutex);
    crew_->wake.notify_all();
  }
  take_shares(0, call, per_thread);
  for (int spins = 0; done_of(state_.load(std::memory_order_acquire)) != shares; ++spins) {
    if (spins < kSpinsBeforeYield) {
      cpu_relax();
    } else {
      std::this_thread::yield();  // a neighbour holds the core of who has the last share
    }
  }
}

void ThreadPool::take_shares(int member, uint64_t call, int per_thread) {
  for (int i = 0; i < per_thread; ++i) take_share(member, call, member * per_thread + i);
  for (int other = 1; other < n_threads_; ++other) {
    const int first = (member + other) % n_threads_ * per_thread;
    for (int i = per_thread - 1; i >= 0; --i) take_share(member, call, first + i);
  }
}

// Nobody can take a share of a call that is over: each of them bears that call's number or a later
// one. While a taken share is not done its call cannot end, so function_ and body_ stay.
void ThreadPool::take_share(int member, uint64_t call, int share) {
  std::atomic<uint64_t>& taken = claims_[share].call;
  uint64_t seen = taken.load(std::memory_order_relaxed);
  if (seen >= call) return;
  if (!taken.compare_exchange_strong(seen, call, std::memory_order_acq_rel)) return;
  function_(body_, share, member);
  state_.fetch_add(1, std::memory_order_acq_rel);
}

void ThreadPool::wait_for_call(uint64_t after) {
  const auto called = [&] {
    return stop_.load(std::memory_order_relaxed) ||
           call_of(state_.load(std::memory_order_seq_cst)) != after;
  };
  for (int spins = 0; spins < kSpinsBeforeYield; ++spins) {
    if (called()) return;
    cpu_relax();
  }
  for (const auto begin = Clock::now(); Clock::now() - begin < kAwake;) {
    if (called()) return;
    std::this_thread::yield();
  }
  std::unique_lock lock(crew_->mutex);
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  crew_->wake.wait(lock, called);
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
}

void ThreadPool::work(int member) {
  uint64_t seen = 0;
  while (true) {
    wait_for_call(seen);
    if (stop_.load()) return;
    const uint64_t state = state_.load(std::memory_order_acquire);
    seen = call_of(state);
    take_shares(member, seen, per_thread_of(state));
  }
}

int ThreadPool::available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const bool known = sched_getaffinity(0, sizeof set, &set) == 0;
  const unsigned cores = known ? CPU_COUNT(&set) : std::thread::hardware_concurrency();
  std::ifstream file("/proc/self/cgroup");
  const std::string groups{std::istreambuf_iterator<char>(file), {}};
  // Spinning threads beyond a quota would use it up for those that work.
  const int allowed = quota_cores("/sys/fs/cgroup", groups).value_or(INT_MAX);
  return std::clamp(static_cast<int>(cores), 1, allowed);
}

}  // namespace sentinel
