#include "base/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace sentinel {
namespace {

TEST(Statistics, KnownValues) {
  const std::vector<double> values = {4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(mean(values), 2.5);
  EXPECT_DOUBLE_EQ(median(values), 2.5);
  EXPECT_DOUBLE_EQ(percentile(values, 1), 4);
  EXPECT_DOUBLE_EQ(percentile(values, 0), 1);
  EXPECT_NEAR(sample_stddev(values), 1.2909944, 1e-6);
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_TRUE(std::isnan(median({})) && std::isnan(mean({})));
  EXPECT_EQ(sample_stddev({1}), 0);
  EXPECT_DOUBLE_EQ(percentile({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.9), 9.1);
  EXPECT_DOUBLE_EQ(percentile({5}, 0.99), 5);
}

TEST(Statistics, NoiseIsSeldomAGain) {
  std::mt19937_64 random(5);
  std::normal_distribution<double> noise;
  constexpr int kTrials = 4000;
  for (const size_t n : {1U, 4U, 5U, 8U, 32U}) {
    int noise_kept = 0, gains_kept = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
      std::vector<double> before(n), now(n), better(n);
      for (size_t i = 0; i < n; ++i) {
        before[i] = 3 + noise(random);
        now[i] = before[i] + 0.1 * noise(random);
        better[i] = now[i] - 0.5;
      }
      noise_kept += clearly_below(now, before);
      gains_kept += clearly_below(better, before);
    }
    EXPECT_LT(noise_kept, 0.035 * kTrials) << n;
    if (n < 5) {
      EXPECT_EQ(gains_kept, 0) << n;
    }
    if (n >= 8) {
      EXPECT_GT(gains_kept, 0.99 * kTrials) << n;
    }
  }
}

TEST(Statistics, StudentsQuantileIsThatOfTables) {
  for (const auto& [freedom, expected] : {std::pair{3.0, 3.182446},
                                          {4.0, 2.776445},
                                          {5.0, 2.570582},
                                          {6.0, 2.446912},
                                          {10.0, 2.228139},
                                          {30.0, 2.042272},
                                          {120.0, 1.979930},
                                          {1e9, 1.959964}}) {
    const double share = freedom > 4 ? 2e-4 : 1.5e-3;
    EXPECT_NEAR(student_975(freedom), expected, share * expected) << freedom;
  }
}

}  // namespace
}  // namespace sentinel
