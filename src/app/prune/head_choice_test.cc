#include "app/prune/head_choice.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "app/prune/test_model.h"
#include "kernels/registry.h"

namespace sentinel {
namespace {

class HeadChoiceTest : public testing::Test {
 protected:
  HeadChoiceTest() {
    for (size_t begin = 0; begin + 64 <= tokens_.size(); begin += 64) {
      (begin == 64 ? set_.held_out : set_.fit).push_back(std::span(tokens_).subspan(begin, 64));
    }
  }

  std::vector<int32_t> tokens_ = calibration_tokens(2500);
  CalibrationSet set_;
  ThreadPool pool_{2};
  SublayerRunner runner_{select_kernels(detect_cpu_features(), ""), pool_};
};

TEST(LowestHeads, AreAscendingInEachLayer) {
  const HeadScores scores = {{3, 1, 2}, {}, {0, 9}};
  using Heads = std::vector<std::vector<int>>;
  EXPECT_EQ(lowest_heads(scores, 0), (Heads{{}, {}, {}}));
  EXPECT_EQ(lowest_heads(scores, 3), (Heads{{1, 2}, {}, {0}}));
  EXPECT_EQ(lowest_heads(scores, 5), (Heads{{0, 1, 2}, {}, {0, 1}}));
}

TEST_F(HeadChoiceTest, LossesAreThoseOfTheModelWithoutTheHead) {
  const HeadScores losses = losses_without_heads(mini(), set_.fit, runner_);
  LossMeter meter(mini(), set_.fit, runner_);
  for (const auto& [layer, head] : {std::pair{0, 0}, {3, 5}, {7, 7}}) {
    EditableModel model(mini());
    model.layers[layer].keep_heads(all_but(8, {{head}}), mini()->config().head_dim,
                                   mini()->config().d_model);
    meter.set_model(model);
    EXPECT_NEAR(losses[layer][head], meter.loss() - meter.dense_loss(), 1e-6) << layer << head;
  }
}

TEST_F(HeadChoiceTest, TakesTheBetterOfTheLowestAndTheSearch) {
  HeadChoiceOptions options{.count = 3,
                            .scores = HeadScores(8, std::vector<double>(8)),
                            .recovery = {},
                            .search = nullptr};
  options.recovery.type = fast_type(runner_.kernels());
  options.scores[7] = {0, 0, 0, 0, 0, -3, -2, -1};
  RemovedHeads late(8), early(8);
  late[7] = {5, 6, 7};
  early[0] = {0, 1, 2, 3, 4, 5, 6, 7};  // a whole layer: worse on any text
  int compared = 0;
  const auto count = [&](int, int) { ++compared; };
  EXPECT_EQ(choose_heads(mini(), set_, options, runner_, count).heads, late);
  options.search = [&] { return late; };
  EXPECT_EQ(choose_heads(mini(), set_, options, runner_, count).heads, late);
  EXPECT_EQ(compared, 0) << "nothing to compare";
  options.search = [&] { return early; };
  HeadChoice choice = choose_heads(mini(), set_, options, runner_, count);
  EXPECT_EQ(choice.heads, late);
  EXPECT_FALSE(choice.searched);
  EXPECT_EQ(compared, 2);
  options.count = 8;
  options.scores[0].assign(8, -9);
  options.search = [&] { return late; };
  choice = choose_heads(mini(), set_, options, runner_, count);
  EXPECT_EQ(choice.heads, late);
  EXPECT_TRUE(choice.searched);
}

TEST(HeadLossTokens, AreFewerForLargeModels) {
  ModelConfig config = mini()->config();
  EXPECT_EQ(head_loss_tokens(config, {}), kHeadLossTokens);
  config.d_model *= 16;
  EXPECT_LT(head_loss_tokens(config, {}), kHeadLossTokens);
  EXPECT_GT(head_loss_tokens(config, {}), 0);
}

}  // namespace
}  // namespace sentinel
