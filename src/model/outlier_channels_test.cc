#include "model/outlier_channels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "model/checkpoint/checkpoint_test_util.h"
#include "model/checkpoint/edited_checkpoint.h"
#include "model/checkpoint/memory_checkpoint.h"
#include "model/checkpoint/model_output.h"
#include "model/model.h"

namespace sentinel {
namespace {

constexpr int kChannels = 64;

struct Pair {
  std::vector<float> weight, bias, matrix;  // matrix [32, kChannels]

  explicit Pair(uint64_t seed) {
    Rng rng(seed);
    for (int i = 0; i < kChannels; ++i) {
      weight.push_back(1 + 0.3F * static_cast<float>(rng.normal()));
      bias.push_back(0.1F * static_cast<float>(rng.normal()));
    }
    for (int i = 0; i < 32 * kChannels; ++i) matrix.push_back(static_cast<float>(rng.normal()));
  }
  void scale(int channel, float norm, float column) {
    weight[channel] *= norm;
    bias[channel] *= norm;
    for (int o = 0; o < 32; ++o) matrix[o * kChannels + channel] *= column;
  }
  std::vector<float> factors() const {
    const MatrixView view = {reinterpret_cast<const std::byte*>(matrix.data()),
                             DType::f32,
                             32,
                             kChannels,
                             kChannels,
                             1,
                             "w"};
    return outlier_factors(weight, bias, {&view, 1});
  }
};

TEST(OutlierChannels, OnlyWhatIsLargeOnOneSideAndSmallOnTheOtherChanges) {
  EXPECT_TRUE(Pair(1).factors().empty());
  Pair pair(1);
  pair.scale(3, 40, 1.0F / 40);
  pair.scale(7, 40, 1);          // large, but needed so
  pair.scale(9, 1.0F / 40, 40);  // the matrix's outlier: a norm cannot help
  pair.scale(11, 40, 0);         // not read, but in a block with others that are
  const std::vector<float> factors = pair.factors();
  ASSERT_EQ(factors.size(), size_t{kChannels});
  for (int i = 0; i < kChannels; ++i) {
    if (i == 3 || i == 11) {
      EXPECT_GT(factors[i], 10);
    } else {
      EXPECT_EQ(factors[i], 1) << i;
    }
  }
}

TEST(OutlierChannels, BrokenNormsAreLeftToWhoReadsThem) {
  for (const float broken : {NAN, INFINITY}) {
    Pair pair(1);
    pair.scale(3, 40, 1.0F / 40);
    pair.weight[5] = broken;
    EXPECT_TRUE(pair.factors().empty());
  }
}

TEST(OutlierChannels, NothingIsDoneForNormsWithoutASize) {
  Pair pair(2);
  std::fill(pair.weight.begin() + 1, pair.weight.end(), 0.0F);
  std::fill(pair.bias.begin(), pair.bias.end(), 0.0F);
  EXPECT_TRUE(pair.factors().empty());
}

// A random model, and the same function with six channels of every norm `scale` times as large.
std::shared_ptr<const Checkpoint> make_model(float scale) {
  constexpr int kHidden = 4 * kChannels, kVocab = 90, kContext = 70;
  auto memory = std::make_shared<std::deque<std::vector<float>>>();
  MemoryCheckpointSource source{R"({"model_type": "gpt2", "n_layer": 3, "n_head": 4, "n_embd": 64,
                                    "n_positions": 70, "vocab_size": 90})",
                                {},
                                memory,
                                {}};
  Rng rng(5);
  const auto factor = [&](int channel) { return channel % 11 == 4 ? scale : 1; };
  const auto add = [&](const std::string& name, std::vector<int64_t> shape, double deviation,
                       double mean, int outliers) {  // 1: multiplied, -1: inputs divided
    const int64_t columns = shape.size() == 2 ? shape[1] : 1;
    auto& values = memory->emplace_back(static_cast<size_t>(shape[0] * columns));
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(mean + deviation * rng.normal());
      const float by = factor(static_cast<int>(static_cast<int64_t>(i) / columns));
      if (outliers != 0) values[i] = outliers > 0 ? values[i] * by : values[i] / by;
    }
    const auto* data = reinterpret_cast<const std::byte*>(values.data());
    source.tensors.push_back({name, "F32", std::move(shape), data, 0});
  };
  add("wte.weight", {kVocab, kChannels}, 0.7, 0, 0);
  add("wpe.weight", {kContext, kChannels}, 0.4, 0, 0);
  for (int l = 0; l < 3; ++l) {
    const std::string name = "h." + std::to_string(l) + ".";
    for (const char* norm : {"ln_1", "ln_2"}) {
      add(name + norm + ".weight", {kChannels}, 0.1, 1, 1);
      add(name + norm + ".bias", {kChannels}, 0.1, 0, 1);
    }
    add(name + "attn.c_attn.weight", {kChannels, 3 * kChannels}, 0.15, 0, -1);
    add(name + "attn.c_attn.bias", {3 * kChannels}, 0.2, 0, 0);
    add(name + "attn.c_proj.weight", {kChannels, kChannels}, 0.12, 0, 0);
    add(name + "attn.c_proj.bias", {kChannels}, 0.1, 0, 0);
    add(name + "mlp.c_fc.weight", {kChannels, kHidden}, 0.12, 0, -1);
    add(name + "mlp.c_fc.bias", {kHidden}, 0.2, 0, 0);
    add(name + "mlp.c_proj.weight", {kHidden, kChannels}, 0.06, 0, 0);
    add(name + "mlp.c_proj.bias", {kChannels}, 0.1, 0, 0);
  }
  add("ln_f.weight", {kChannels}, 0.1, 1, 0);
  add("ln_f.bias", {kChannels}, 0.1, 0, 0);
  return open_memory_checkpoint(std::move(source));
}

std::vector<float> logits(const std::shared_ptr<const Checkpoint>& checkpoint, WeightType type,
                          WeightType lm_head = WeightType::f32) {
  ModelOptions options;
  options.level = 1;
  options.weights = type;
  options.lm_head = lm_head;
  options.threads = 1;
  const auto model = Model::create(checkpoint, options);
  std::vector<int32_t> tokens(60);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * 37 % 90);
  std::vector<float> all;
  model->new_session(1, 60)->prefill(0, tokens, [&](int, int rows, const float* values) {
    all.insert(all.end(), values, values + int64_t{rows} * 90);
  });
  return all;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(double{a[i]} - b[i], 2);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

TEST(OutlierChannels, LowPrecisionIsNoWorseForThem) {
  const auto plain = make_model(1), scaled = make_model(50);
  const std::vector<float> want = logits(plain, WeightType::f32);
  EXPECT_LT(distance(want, logits(scaled, WeightType::f32)), 1e-4);
  for (const WeightType type : {WeightType::int8, WeightType::int6, WeightType::int4}) {
    const double usual = distance(want, logits(plain, type));
    EXPECT_LT(distance(want, logits(scaled, type)), 2 * usual) << to_string(type);
  }
}

// A sample of every other channel would see outliers alone.
TEST(OutlierChannels, AreFoundWhereverTheyStand) {
  for (const int first : {0, 1}) {
    Pair pair(3);
    for (int i = first; i < kChannels; i += 4) pair.scale(i, 40, 1.0F / 40);
    const std::vector<float> factors = pair.factors();
    ASSERT_EQ(factors.size(), size_t{kChannels});
    for (int i = 0; i < kChannels; ++i) {
      EXPECT_EQ(factors[i] > 10, i % 4 == first) << i << " of " << first;
    }
  }
}

using OutlierFile = test::FolderTest;

TEST_F(OutlierFile, Int8KeepsThemWithTheSameBitsAsFromTheFloats) {
  const auto scaled = make_model(50);
  save_model(folder_ / "int8", *scaled, {.dtype = DType::int8});
  const auto stored = Checkpoint::open((folder_ / "int8").string());
  EXPECT_EQ(logits(stored, WeightType::int8, WeightType::int8),
            logits(scaled, WeightType::int8, WeightType::int8));
  const std::vector<float> want = logits(scaled, WeightType::f32);
  const double usual = distance(want, logits(make_model(1), WeightType::int8));
  EXPECT_LT(distance(want, logits(stored, WeightType::f32)), 2 * usual);
  EditableModel rounded(scaled);
  rounded.round_to(DType::int8);
  const auto copy = as_checkpoint(std::make_shared<EditableModel>(rounded));
  EXPECT_LT(distance(logits(stored, WeightType::f32), logits(copy, WeightType::f32)), usual / 10);
}

}  // namespace
}  // namespace sentinel
