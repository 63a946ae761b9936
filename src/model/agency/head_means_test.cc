#include "model/agency/head_means.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "model/model.h"

namespace sentinel {
namespace {

std::shared_ptr<const Checkpoint> mini() {
  static const auto checkpoint =
      Checkpoint::open(std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini");
  return checkpoint;
}

// Sums of contexts over all rows but the first.
class Sums : public Observer {
 public:
  explicit Sums(int n_layers) { means.layers.resize(n_layers, std::vector<float>(256, 0.0F)); }
  void on_attention(int layer, int first, int rows, const float* context, int64_t stride,
                    const float*) override {
    for (int r = 0; r < rows; ++r) {
      if (first + r == 0) continue;
      for (int i = 0; i < 256; ++i) means.layers[layer][i] += context[r * stride + i];
      means.tokens += layer == 0;
    }
  }
  void on_ffn(int, int, int, const float*, int64_t) override {}
  HeadMeans finish() {
    for (auto& layer : means.layers) {
      for (float& v : layer) v /= static_cast<float>(means.tokens);
    }
    return means;
  }
  HeadMeans means;
};

std::vector<float> logits_of(Model& model, const std::vector<int32_t>& ids) {
  std::vector<float> logits(4096);
  model.new_session(1, 512)->prefill(0, ids, logits.data());
  return logits;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double square = 0;
  for (size_t i = 0; i < a.size(); ++i) square += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(square);
}

std::shared_ptr<const HeadMeans> measured(const std::vector<int32_t>& ids) {
  const auto model = Model::create(mini(), {.level = 1});
  Sums sums(8);
  const auto session = model->new_session(1, 512);
  session->set_observer(&sums);
  session->prefill(0, ids, static_cast<float*>(nullptr));
  return std::make_shared<HeadMeans>(sums.finish());
}

TEST(HeadMeans, EveryLevelAddsTheSameAndItComesCloserToTheWholeModel) {
  Rng rng(4);
  std::vector<int32_t> ids(120);
  for (auto& id : ids) id = static_cast<int32_t>(rng.below(4095));
  const auto means = measured(ids);
  const auto whole = logits_of(*Model::create(mini(), {.level = 1}), ids);
  std::vector<std::vector<float>> with, without;
  for (const int level : {0, 1}) {
    for (const bool use : {false, true}) {
      const auto model =
          Model::create(mini(), {.level = level, .head_means = use ? means : nullptr});
      EXPECT_EQ(model->info().head_means, use);
      EXPECT_LT(distance(logits_of(*model, ids), whole), 0.05);  // nothing closed, nothing added
      for (int l = 2; l < 8; ++l) model->heads().set_state({l, 5}, HeadState::withdrawn);
      model->heads().set_gate({4, 1}, 0.25F);
      (use ? with : without).push_back(logits_of(*model, ids));
    }
  }
  for (size_t i = 0; i < 4096; ++i) ASSERT_NEAR(with[0][i], with[1][i], 2e-3);
  EXPECT_LT(distance(with[1], whole), 0.9 * distance(without[1], whole));
}

TEST(HeadMeans, MeansOfAnotherShapeAreRefused) {
  auto means = std::make_shared<HeadMeans>();
  means->layers.resize(8, std::vector<float>(255));
  EXPECT_THROW(Model::create(mini(), {.level = 1, .head_means = means}), Error);
  means->layers.resize(7, std::vector<float>(256));
  EXPECT_THROW(Model::create(mini(), {.level = 0, .head_means = means}), Error);
}

}  // namespace
}  // namespace sentinel
