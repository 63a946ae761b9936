// Layer norm and softmax of every instruction set against the plain twins.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/cpu_features.h"
#include "base/rng.h"
#include "kernels/ref/plain.h"
#include "kernels/registry.h"

namespace sentinel {
namespace {

class RowKernels : public testing::TestWithParam<std::string> {
 protected:
  KernelTable kernels_ = select_kernels(detect_cpu_features(), GetParam());
  Rng rng_{11};
};

TEST_P(RowKernels, LayerNormEqualsPlainAndPadsWithZeros) {
  for (const int n : {1, 15, 16, 17, 63, 64, 256, 768, 1000}) {
    std::vector<float> x(3 * (n + 3)), weight(n), bias(n), out(3 * (n + 40), 9), want(n);
    for (float& v : x) v = static_cast<float>(5 + 3 * rng_.normal());
    for (float& v : weight) v = static_cast<float>(rng_.normal());
    for (float& v : bias) v = static_cast<float>(rng_.normal());
    kernels_.layer_norm(x.data(), n + 3, weight.data(), bias.data(), 1e-5F, 3, n, n + 20,
                        out.data(), n + 40);
    for (int r = 0; r < 3; ++r) {
      plain::layer_norm(&x[r * (n + 3)], weight.data(), bias.data(), 1e-5F, n, want.data());
      for (int i = 0; i < n; ++i) EXPECT_NEAR(out[r * (n + 40) + i], want[i], 2e-5) << n;
      for (int i = n; i < n + 20; ++i) EXPECT_EQ(out[r * (n + 40) + i], 0);
      for (int i = n + 20; i < n + 40; ++i) EXPECT_EQ(out[r * (n + 40) + i], 9);
    }
  }
}

// The entropy of the by-product ln l - t / l against a direct two-pass sum in double.
TEST_P(RowKernels, SoftmaxAndItsEntropyEqualTheDirectSums) {
  for (const int n : {1, 2, 15, 16, 17, 63, 300, 1024, 4096}) {
    for (const double spread : {0.1, 1.0, 10.0, 100.0}) {
      std::vector<float> scores(n + 16), p(n);
      for (int i = 0; i < n; ++i) scores[i] = static_cast<float>(spread * rng_.normal());
      for (int i = 0; i < n; ++i) p[i] = scores[i] * 0.125F;
      const double entropy = plain::softmax(p.data(), n);
      const SoftmaxSums sums = kernels_.softmax(scores.data(), n, n + 16, 0.125F);
      for (int i = 0; i < n; ++i) EXPECT_NEAR(scores[i] / sums.l, p[i], 2e-6);
      for (int i = n; i < n + 16; ++i) EXPECT_EQ(scores[i], 0);
      EXPECT_NEAR(std::log(sums.l) - sums.t / sums.l, entropy, 1e-5) << n << " " << spread;
    }
  }
}

// -sum p ln p in two passes, in double, of scores whose own scale is 0.1 to 100.
TEST_P(RowKernels, EntropyHoldsForAnyWidthAndScale) {
  for (int round = 0; round < 400; ++round) {
    const int n = round < 40 ? round + 1 : 1 + static_cast<int>(rng_.below(4096));
    const double scale = std::pow(10.0, 3 * rng_.uniform() - 1);
    std::vector<float> scores(n + 16);
    for (int i = 0; i < n; ++i) scores[i] = static_cast<float>(scale * rng_.normal());
    const double top = *std::max_element(scores.begin(), scores.begin() + n);
    double sum = 0, entropy = 0;
    for (int i = 0; i < n; ++i) sum += std::exp(scores[i] - top);
    for (int i = 0; i < n; ++i) {
      const double p = std::exp(scores[i] - top) / sum;
      if (p > 0) entropy -= p * std::log(p);
    }
    const SoftmaxSums sums = kernels_.softmax(scores.data(), n, n + 16, 1.0F);
    EXPECT_NEAR(std::log(sums.l) - sums.t / sums.l, entropy, 1e-5) << n << " " << scale;
  }
}

// What the int8 cache holds of each position is within half a step of what came in, wherever the
// rows begin, and other positions keep theirs.
TEST_P(RowKernels, Int8KeysAndValuesAreWithinHalfAStep) {
  for (const int head_dim : {32, 64, 96, 256}) {
    constexpr int kPositions = 64, kStride = 300;
    std::vector<float> k(kPositions * kStride), v(k.size()), scales(2 * kPositions, 0);
    for (float& x : k) x = static_cast<float>(rng_.normal());
    for (float& x : v) x = static_cast<float>(1e-3 * rng_.normal());
    std::fill_n(&v[5 * kStride], head_dim, 0.0F);
    std::vector<std::byte> keys(kPositions * head_dim), values(keys.size());
    for (int first = 0, rows = 1; first < kPositions; first += rows, rows = rows % 7 + 1) {
      rows = std::min(rows, kPositions - first);
      AppendArgs args{&k[first * kStride], &v[first * kStride], kStride, rows, first, head_dim};
      args.keys = keys.data();
      args.values = values.data();
      args.value_panel_stride = kPositions * kPanel;
      args.key_scales = scales.data();
      args.value_scales = scales.data() + kPositions;
      kernels_.append[static_cast<int>(WeightType::int8)](args);
    }
    const auto number = [](std::byte b) { return static_cast<float>(static_cast<int>(b) - 128); };
    for (int p = 0; p < kPositions; ++p) {
      for (int e = 0; e < head_dim; ++e) {
        const std::byte key = keys[p / 16 * 16 * head_dim + e / 4 * 64 + p % 16 * 4 + e % 4];
        const std::byte value = values[e / 16 * kPositions * 16 + p / 4 * 64 + e % 16 * 4 + p % 4];
        const float ks = scales[p], vs = scales[kPositions + p];
        EXPECT_NEAR(ks * number(key), k[p * kStride + e], 0.5001 * ks);
        EXPECT_NEAR(vs * number(value), v[p * kStride + e], 0.5001 * vs);
      }
    }
    EXPECT_EQ(scales[kPositions + 5], 0);
  }
}

// 127 / 1e-38 is beyond float, and probabilities are as small: such a block counts as 0.
TEST_P(RowKernels, TinyInputsCountAsZeroAndNotANumberStaysSo) {
  constexpr int kInputs = 64;
  for (const WeightType type : {WeightType::int8, WeightType::int6, WeightType::int4}) {
    for (const bool bad : {false, true}) {
      std::vector<float> x(kInputs, 1e-38F);
      if (bad) x.assign(kInputs, std::numeric_limits<float>::quiet_NaN());
      std::vector<std::byte> data(4 * kInputs, std::byte{9});
      float scale = 7;
      int32_t block_sum = 7;
      std::vector<int32_t> sums(kInputs / kSumBlock, 7);
      const Operand out{data.data(), 4 * kInputs,        &scale, 1, &block_sum,
                        sums.data(), kInputs / kSumBlock};
      kernels_.prepare[static_cast<int>(type)](
          {x.data(), kInputs, 1, kInputs, kInputs, nullptr, -1, out});
      if (bad) {
        EXPECT_TRUE(std::isnan(scale));
        continue;
      }
      EXPECT_EQ(scale, 0);
      EXPECT_EQ(block_sum, 0);
      const int bytes = kInputs * kernels_.input_bytes[static_cast<int>(type)];
      for (int i = 0; i < bytes; ++i) EXPECT_EQ(data[i], std::byte{0});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryIsa, RowKernels,
                         testing::ValuesIn(available_isas(detect_cpu_features())),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace sentinel
