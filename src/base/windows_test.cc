#include "base/windows.h"

#include <gtest/gtest.h>

#include <numeric>

namespace sentinel {
namespace {

std::vector<size_t> sizes(size_t n, size_t length, size_t least) {
  std::vector<int32_t> values(n);
  std::iota(values.begin(), values.end(), 0);
  std::vector<size_t> found;
  int32_t next = 0;
  for (const auto& window : cut_windows(values, length, least)) {
    EXPECT_EQ(window.front(), next);
    next += static_cast<int32_t>(window.size());
    found.push_back(window.size());
  }
  return found;
}

TEST(Windows, TheRestCountsWhereItIsLongEnough) {
  using Sizes = std::vector<size_t>;
  EXPECT_EQ(sizes(10, 4, 4), (Sizes{4, 4}));
  EXPECT_EQ(sizes(10, 4, 3), (Sizes{4, 4}));
  EXPECT_EQ(sizes(10, 4, 2), (Sizes{4, 4, 2}));
  EXPECT_EQ(sizes(8, 4, 2), (Sizes{4, 4}));
  EXPECT_EQ(sizes(9, 4, 2), (Sizes{4, 4}));
  EXPECT_EQ(sizes(3, 4, 4), Sizes{});
  EXPECT_EQ(sizes(3, 4, 2), Sizes{3});
  EXPECT_EQ(sizes(0, 4, 2), Sizes{});
}

}  // namespace
}  // namespace sentinel
