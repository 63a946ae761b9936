#include "app/profile/generation_timer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "model/testing/fake_model.h"

namespace sentinel {
namespace {

// As for generate: the last new token needs no position.
TEST(GenerationTimer, FillsTheContextToItsLastPosition) {
  testing::FakeModel model(4, 16, [](const auto&, float* logits) { std::fill_n(logits, 4, 0.F); });
  GenerationWork work;
  work.prompts = {{1, 2, 3}, std::vector<int32_t>(10, 1)};
  work.generated_tokens = 7;
  EXPECT_EQ(time_generation(model, work, nullptr).tokens.size(), 7U);
  work.prompts.back().push_back(1);
  EXPECT_THROW(time_generation(model, work, nullptr), Error);
  work.generated_tokens = 6;
  EXPECT_EQ(time_generation(model, work, nullptr).tokens.size(), 6U);
}

}  // namespace
}  // namespace sentinel
