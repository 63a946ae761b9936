#include "app/prune/head_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

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

TEST_F(HeadChoiceTest, TheBestRemovalLosesLeastAfterRecovery) {
  RecoveryOptions recovery;
  recovery.type = fast_type(runner_.kernels());
  RemovedHeads few(8), layer(8), model(8);
  few[7] = {5, 6, 7};
  layer[0] = {0, 1, 2, 3, 4, 5, 6, 7};
  model.assign(8, layer[0]);
  std::vector<int> progress;
  std::vector<HeadTrial> trials;
  const auto best = [&](const std::vector<RemovedHeads>& choices) {
    progress.clear();
    trials.clear();
    return best_removal(mini(), set_, choices, recovery, runner_, trials,
                        [&](int done, int) { progress.push_back(done); });
  };
  EXPECT_EQ(best({few, layer, model}), 0U);
  EXPECT_EQ(progress, (std::vector<int>{0, 1, 2}));
  EXPECT_LT(trials[0].loss_after, trials[1].loss_after);
  EXPECT_LT(trials[1].loss_after, trials[2].loss_after);
  EXPECT_LT(trials[1].loss_after, trials[1].loss_before);
  EXPECT_EQ(best({model, few, layer}), 1U);
  EXPECT_EQ(best({model, layer}), 1U);
  EXPECT_EQ(best({layer, layer}), 0U);
  EXPECT_TRUE(progress.empty()) << "nothing to compare";
  EXPECT_TRUE(std::isnan(trials[0].loss_after));
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
