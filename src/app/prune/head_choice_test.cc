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

TEST_F(HeadChoiceTest, ComparesTheOrdersAndTheSearchWhereTheyDiffer) {
  HeadChoiceOptions options{.count = 3, .search_tokens = 32, .recovery = {}, .search = nullptr};
  options.recovery.type = fast_type(runner_.kernels());
  RemovedHeads searched(8);
  searched[7] = {5, 6, 7};
  options.search = [&] { return searched; };
  int compared = 0;
  const auto count = [&](const HeadChoiceProgress& p) {
    if (p.comparing) compared = p.total;
  };
  const HeadChoice choice = choose_heads(mini(), set_, options, runner_, count);
  HeadLossOptions measured;
  measured.meter.type = options.recovery.type;
  const auto lowest = [&](const TokenWindows& windows) {
    return lowest_heads(losses_without_heads(mini(), spread_tokens(windows, 32), runner_, measured),
                        3);
  };
  const RemovedHeads held_out = lowest(set_.held_out), fit = lowest(set_.fit);
  EXPECT_NE(held_out, fit);
  EXPECT_GE(compared, 3);
  EXPECT_LE(compared, 4);
  if (choice.scores.empty()) {
    EXPECT_EQ(choice.heads, searched);
  } else {
    EXPECT_EQ(choice.heads, lowest_heads(choice.scores, 3));
  }
  // Nothing is left to compare when all agree.
  options.count = compared = 0;
  options.search = [] { return RemovedHeads(8); };
  EXPECT_EQ(choose_heads(mini(), set_, options, runner_, count).heads, RemovedHeads(8));
  EXPECT_EQ(compared, 0);
}

}  // namespace
}  // namespace sentinel
