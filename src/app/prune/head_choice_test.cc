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
  const HeadScores losses = losses_without_heads(mini(), set_.fit, runner_, {}, nullptr);
  LossMeter meter(mini(), set_.fit, runner_);
  for (const auto& [layer, head] : {std::pair{0, 0}, {3, 5}, {7, 7}}) {
    EditableModel model(mini());
    model.layers[layer].keep_heads(all_but(8, {{head}}), mini()->config().head_dim,
                                   mini()->config().d_model);
    meter.set_model(model);
    EXPECT_NEAR(losses[layer][head], meter.loss() - meter.dense_loss(), 1e-6) << layer << head;
  }
}

TEST_F(HeadChoiceTest, TakesOneOfTheMeasuredOrdersAndComparesOnlyWhatDiffers) {
  HeadChoiceOptions options{.count = 30, .search_tokens = 64, .recovery = {}};
  options.recovery.type = fast_type(runner_.kernels());
  int compared = 0;
  const HeadScores scores =
      choose_heads(mini(), set_, options, runner_, [&](const HeadChoiceProgress& p) {
        if (p.comparing) compared = p.total;
      });
  const LossMeterOptions meter{.type = options.recovery.type};
  const HeadScores held_out = losses_without_heads(mini(), set_.held_out, runner_, meter, nullptr),
                   fit = losses_without_heads(mini(), spread_tokens(set_.fit, 64), runner_, meter,
                                              nullptr);
  EXPECT_NE(lowest_heads(held_out, 30), lowest_heads(fit, 30));
  EXPECT_GE(compared, 2);
  if (scores != held_out && scores != fit) {
    EXPECT_DOUBLE_EQ(scores[2][3], (held_out[2][3] + fit[2][3]) / 2);
  }
  // Without heads to remove there is nothing to compare.
  options.count = compared = 0;
  choose_heads(mini(), set_, options, runner_, [&](const HeadChoiceProgress& p) {
    if (p.comparing) compared = p.total;
  });
  EXPECT_EQ(compared, 0);
}

}  // namespace
}  // namespace sentinel
