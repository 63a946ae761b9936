#include "app/prune/loss_meter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "app/prune/step_search.h"
#include "app/prune/test_model.h"
#include "kernels/registry.h"
#include "model/model.h"

namespace sentinel {
namespace {

const std::vector<int32_t>& tokens() {
  static const std::vector<int32_t> ids = calibration_tokens(2000);
  return ids;
}

TokenWindows windows() {
  return {std::span(tokens()).first(100), std::span(tokens()).subspan(100, 60)};
}

class LossMeterTest : public testing::Test {
 protected:
  ThreadPool pool_{2};
  SublayerRunner runner_{select_kernels(detect_cpu_features(), ""), pool_};
};

// Mean negative log likelihood by the engine; the softmax over `vocabulary`.
double reference_loss(const std::vector<int32_t>& vocabulary) {
  const auto model = Model::create(mini(), {});
  double sum = 0;
  int rows_scored = 0;
  for (const auto& window : windows()) {
    model->new_session(1, 256)->prefill(
        0, window.first(window.size() - 1), [&](int first, int rows, const float* logits) {
          for (int r = 0; r < rows; ++r, ++rows_scored) {
            const float* row = logits + int64_t{r} * model->config().vocab_size;
            double total = 0;
            for (const int32_t token : vocabulary) total += std::exp(double{row[token]});
            sum += std::log(total) - row[window[first + r + 1]];
          }
        });
  }
  return sum / rows_scored;
}

TEST_F(LossMeterTest, IsTheLossOfTheModel) {
  std::vector<int32_t> all(4096);
  for (int i = 0; i < 4096; ++i) all[i] = i;
  EXPECT_NEAR(LossMeter(mini(), windows(), runner_).dense_loss(), reference_loss(all), 1e-5);
}

TEST_F(LossMeterTest, OfAVocabularyIsTheLossAmongItsTokens) {
  std::vector<int32_t> some = {0, 17, 999, 4095};
  for (const auto& window : windows()) some.insert(some.end(), window.begin(), window.end());
  std::sort(some.begin(), some.end());
  some.erase(std::unique(some.begin(), some.end()), some.end());
  const LossMeter meter(mini(), windows(), runner_, {.vocabulary = some});
  EXPECT_NEAR(meter.dense_loss(), reference_loss(some), 1e-5);
}

TEST_F(LossMeterTest, FirstTokensCutTheLastWindow) {
  const auto lengths = [](int64_t tokens) {
    std::vector<size_t> list;
    for (const auto& window : first_tokens(windows(), tokens)) list.push_back(window.size());
    return list;
  };
  EXPECT_EQ(lengths(1000), (std::vector<size_t>{100, 60}));
  EXPECT_EQ(lengths(130), (std::vector<size_t>{100, 30}));
  EXPECT_EQ(lengths(101), (std::vector<size_t>{100}));  // one token alone predicts nothing
  EXPECT_EQ(lengths(40), (std::vector<size_t>{40}));
}

TEST_F(LossMeterTest, AStepGoesWhereTheLossFallsAndNowhereElse) {
  EditableModel model(mini());
  const EditableLayer whole = model.layers[1];
  for (float& w : model.layers[1].o) w = 0;
  const EditableLayer damaged = model.layers[1];
  StepSearch search(model, windows(), runner_, {});
  const double loss = search.loss();
  LinearMap noise = output_map(whole, SublayerKind::attention);
  for (size_t i = 0; i < noise.w.size(); ++i) noise.w[i] = i % 2 == 0 ? 3.0F : -3.0F;
  search.take(2, noise);
  EXPECT_EQ(search.step(2), 0);
  EXPECT_EQ(search.loss(), loss);
  EXPECT_EQ(model.layers[1].o, damaged.o);
  search.take(2, output_map(whole, SublayerKind::attention));
  EXPECT_GT(search.step(2), 0);
  EXPECT_LT(search.loss(), loss);
  const double taken = search.loss();
  for (int i = 0; i < 16; ++i) search.revise(i);
  EXPECT_LE(search.loss(), taken);
  LossMeter again(mini(), windows(), runner_);
  again.set_model(model);
  EXPECT_EQ(again.loss(), search.loss());
}

}  // namespace
}  // namespace sentinel
