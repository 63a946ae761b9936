#include "app/report/charts_labels.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sentinel {
namespace {

constexpr double kWidth = 60, kSize = 11;
const Frame kArea{0, 0, 400, 300};

TEST(LabelPlacer, IsAboveWhereThereIsRoom) {
  LabelPlacer placer(kArea, kSize);
  placer.add_marker({200, 150});
  const auto place = placer.place({200, 150}, kWidth);
  ASSERT_TRUE(place);
  EXPECT_FALSE(place->led);
  EXPECT_DOUBLE_EQ(place->text.x, 200);
  EXPECT_LT(place->text.y, 150);
  EXPECT_GT(place->text.y, 130);
}

TEST(LabelPlacer, AvoidsLines) {
  LabelPlacer placer(kArea, kSize);
  placer.add_line({0, 140}, {400, 140});  // where the label would be
  const auto place = placer.place({200, 150}, kWidth);
  ASSERT_TRUE(place);
  EXPECT_GT(place->text.y - kSize, 140);
  // Where there is nothing but lines, a label on one is better than none.
  for (int y = 0; y <= 300; y += 5) {
    placer.add_line({0, static_cast<double>(y)}, {400, static_cast<double>(y)});
  }
  EXPECT_TRUE(placer.place({100, 100}, kWidth));
}

// Points side by side: every label is there, apart from the others, and with a line where it would
// be taken for another's.
TEST(LabelPlacer, LeadsToCrowdedPoints) {
  LabelPlacer placer(kArea, kSize);
  std::vector<Spot> points, texts;
  for (int i = 0; i < 5; ++i) points.push_back({200.0 + 7 * i, 150});
  for (const Spot& point : points) placer.add_marker(point);
  int led = 0;
  for (const Spot& point : points) {
    const auto place = placer.place(point, kWidth);
    ASSERT_TRUE(place);
    led += place->led;
    for (const Spot& other : texts) {
      EXPECT_TRUE(std::abs(other.x - place->text.x) >= kWidth ||
                  std::abs(other.y - place->text.y) >= kSize);
    }
    texts.push_back(place->text);
  }
  EXPECT_GE(led, 3);
}

TEST(LabelPlacer, StaysInside) {
  LabelPlacer placer(kArea, kSize);
  const auto place = placer.place({395, 5}, kWidth);
  ASSERT_TRUE(place);
  EXPECT_LE(place->text.x + kWidth / 2, kArea.right);
  EXPECT_GE(place->text.y - kSize, kArea.top);
  EXPECT_FALSE(placer.place({200, 150}, 500));  // wider than all
}

}  // namespace
}  // namespace sentinel
