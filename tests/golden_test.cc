// The engine and the evaluation against the numbers that came with the bundled model (float32
// torch): perplexity of two texts, and the damage of closed heads. The full tables take minutes;
// this covers the first windows and a choice of heads.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "app/eval/eval.h"
#include "base/files.h"

namespace sentinel {
namespace {

const std::string kRoot = SENTINEL_SOURCE_DIR;
const std::string kModel = kRoot + "/models/sentinel-mini";

const nlohmann::json& reference() {
  static const nlohmann::json kReference = read_json(kModel + "/reference.json");
  return kReference;
}

class Golden : public ::testing::Test {
 protected:
  std::unique_ptr<Model> make_model(int level) {
    return Model::create(Checkpoint::open(kModel), {.level = level});
  }
  EvalText load(const std::string& text) {
    return load_eval_text(kRoot + "/" + text, *Tokenizer::load(kModel));
  }
};

void expect_windows(const EvalResult& result, const std::string& text) {
  const auto& expected = reference()["perplexity"][text]["window_nll_first20"];
  ASSERT_GE(expected.size(), result.window_nll.size());
  for (size_t w = 0; w < result.window_nll.size(); ++w) {
    EXPECT_NEAR(result.window_nll[w], expected[w].get<double>(), 2e-5) << text << " " << w;
  }
}

TEST_F(Golden, Level0Perplexity) {
  const auto model = make_model(0);
  expect_windows(evaluate(*model, load("texts/validation.txt").tokens, {.max_windows = 1}),
                 "validation.txt");
}

TEST_F(Golden, Level1PerplexityOfTwoTexts) {
  const auto model = make_model(1);
  expect_windows(evaluate(*model, load("texts/validation.txt").tokens, {.max_windows = 6}),
                 "validation.txt");
  expect_windows(
      evaluate(*model, load("tests/data/tinyshakespeare-head.txt").tokens, {.max_windows = 5}),
      "tinyshakespeare-sample.txt");
}

TEST_F(Golden, ClosedHeadsDoTheDamageOfZeroedHeads) {
  const auto model = make_model(1);
  const EvalText text = load("texts/validation.txt");
  const auto nll = [&](const std::vector<HeadId>& closed) {
    for (int l = 0; l < 8; ++l) {
      for (int h = 0; h < 8; ++h) model->heads().set_gate({l, h}, 1);
    }
    for (const HeadId id : closed) model->heads().set_gate(id, 0);
    return evaluate(*model, text.tokens, {.max_windows = 20}).nll_mean;
  };
  const auto& single = reference()["single_head_nll"]["validation.txt"];
  EXPECT_NEAR(nll({}), single["baseline_nll"].get<double>(), 2e-5);
  for (const HeadId id : {HeadId{0, 4}, HeadId{4, 3}}) {
    EXPECT_NEAR(nll({id}), single["nll"][id.layer][id.head].get<double>(), 1e-4);
  }
  const auto& list = reference()["head_lists"]["random_50"];
  std::vector<HeadId> heads;
  for (const auto& pair : list["heads_layer_head"]) heads.push_back({pair[0], pair[1]});
  EXPECT_NEAR(nll(heads), list["validation.txt"]["nll_first_20_windows"].get<double>(), 1e-3);
}

}  // namespace
}  // namespace sentinel
