#include "base/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

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

}  // namespace
}  // namespace sentinel
