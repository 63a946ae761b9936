#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>

#include "base/error.h"

namespace sentinel {
namespace {

TEST(ThreadPool, RunsTheBodyOnceOnEveryMember) {
  for (int n : {1, 2, 3, 7}) {
    ThreadPool pool(n);
    EXPECT_EQ(pool.size(), n);
    for (int round = 0; round < 50; ++round) {
      std::vector<int> calls(n, 0);
      pool.run([&](int thread) { ++calls[thread]; });
      EXPECT_EQ(calls, std::vector<int>(n, 1));
    }
  }
}

// What members wrote before a barrier is what all of them read after it.
TEST(ThreadPool, BarriersOrderMemoryBetweenMembers) {
  constexpr int kThreads = 3, kRounds = 200;
  ThreadPool pool(kThreads);
  std::vector<int> values(kThreads, 0);
  std::vector<int> wrong(kThreads, 0);
  pool.run([&](int thread) {
    for (int round = 1; round <= kRounds; ++round) {
      values[thread] = round;
      pool.barrier();
      if (std::accumulate(values.begin(), values.end(), 0) != kThreads * round) ++wrong[thread];
      pool.barrier();
    }
  });
  EXPECT_EQ(wrong, std::vector<int>(kThreads, 0));
}

TEST(ThreadPool, WakesMembersThatHaveGoneToSleep) {
  ThreadPool pool(2);
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<int> calls{0};
    pool.run([&](int) { ++calls; });
    EXPECT_EQ(calls.load(), 2);
  }
}

TEST(ThreadPool, RefusesNonsense) {
  EXPECT_THROW(ThreadPool(0), Error);
  EXPECT_THROW(ThreadPool(-3), Error);
  EXPECT_THROW(ThreadPool(100000), Error);
}

TEST(Share, PartsCoverEverythingOnceAndDifferByAtMostOne) {
  for (int64_t n : {0, 1, 5, 48, 1001}) {
    for (int threads : {1, 2, 3, 7}) {
      int64_t next = 0;
      for (int t = 0; t < threads; ++t) {
        const Range range = share(n, t, threads);
        EXPECT_EQ(range.begin, next);
        EXPECT_LE(std::abs(range.size() - n / threads), 1);
        next = range.end;
      }
      EXPECT_EQ(next, n);
    }
  }
}

}  // namespace
}  // namespace sentinel
