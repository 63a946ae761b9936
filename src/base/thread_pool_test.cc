#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
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

TEST(ThreadPool, RunsEveryShareOnceAndNoMemberTwiceAtATime) {
  for (int n : {1, 2, 3, 7}) {
    ThreadPool pool(n);
    for (int per_thread : {1, 2, ThreadPool::kMaxSharesPerThread}) {
      std::vector<std::atomic<int>> calls(n * per_thread), busy(n);
      std::atomic<int> clashes{0};
      for (int round = 0; round < 100; ++round) {
        pool.run_shares(per_thread, [&](int share, int member) {
          clashes += busy[member].fetch_add(1);
          ++calls[share];
          busy[member].fetch_sub(1);
        });
        for (const auto& count : calls) ASSERT_EQ(count.load(), round + 1);
      }
      EXPECT_EQ(clashes.load(), 0);
    }
  }
}

// What one call's shares wrote is what all of the next call's read.
TEST(ThreadPool, CallsOrderMemoryBetweenMembers) {
  constexpr int kThreads = 3, kRounds = 500;
  ThreadPool pool(kThreads);
  std::vector<int> values(kThreads, 0), wrong(kThreads, 0);
  for (int round = 1; round <= kRounds; ++round) {
    pool.run([&](int i) { values[i] = round; });
    pool.run([&](int i) {
      if (std::accumulate(values.begin(), values.end(), 0) != kThreads * round) ++wrong[i];
    });
  }
  EXPECT_EQ(wrong, std::vector<int>(kThreads, 0));
}

// The other members take over what a member that is kept from running has not begun.
TEST(ThreadPool, TakesOverSharesOfAMemberThatIsHeldUp) {
  ThreadPool pool(2);
  std::vector<int> member_of(8, -1);
  std::atomic<int> others{0};
  pool.run_shares(4, [&](int share, int member) {
    member_of[share] = member;
    if (others.fetch_add(1) > 0) return;
    while (others.load() < 8) std::this_thread::yield();  // the first share waits for all the rest
  });
  const auto first = std::count(member_of.begin(), member_of.end(), member_of.front());
  EXPECT_TRUE(first == 1 || first == 7);
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

// A forked child has none of the workers: it computes alone, and ends without waiting for them.
TEST(ThreadPool, AForkedChildComputesAndEnds) {
  auto pool = std::make_unique<ThreadPool>(3);
  std::atomic<int> calls{0};
  pool->run([&](int) { ++calls; });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the workers sleep
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    pool->run([&](int) { ++calls; });
    pool.reset();
    _exit(calls == 6 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(calls, 3);
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
