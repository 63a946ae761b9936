#include "app/sweep/prune_run.h"

#include <gtest/gtest.h>

namespace sentinel {
namespace {

TEST(PruneRun, SaysWhyALevelsOwnTypeWasNotTaken) {
  const auto why = [](int level, double growth) {
    return std::string(why_widened({.level = level, .preset_growth_percent = growth}));
  };
  EXPECT_EQ(why(2, 0.95), "too near its promise");
  EXPECT_EQ(why(2, 1.05), "beyond its promise");
  EXPECT_EQ(why(3, 3.8), "too near its promise");
  EXPECT_EQ(why(3, 4.1), "beyond its promise");
}

}  // namespace
}  // namespace sentinel
