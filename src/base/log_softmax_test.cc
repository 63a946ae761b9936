#include "base/log_softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"

namespace sentinel {
namespace {

std::vector<float> random_logits(int n, double scale, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> logits(n);
  for (auto& l : logits) l = static_cast<float>(scale * rng.normal());
  return logits;
}

double exact_normalizer(const std::vector<float>& logits) {
  long double sum = 0;
  for (const float l : logits) sum += std::exp(static_cast<long double>(l));
  return static_cast<double>(std::log(sum));
}

TEST(LogSoftmax, EqualsTheExactSums) {
  for (const int n : {1, 2, 255, 256, 257, 5000}) {
    for (const double scale : {0.01, 3.0, 20.0}) {
      const auto logits = random_logits(n, scale, n);
      const RowStats stats = row_stats(logits.data(), n);
      EXPECT_NEAR(stats.log_normalizer(), exact_normalizer(logits), 3e-7);
      EXPECT_NEAR(row_nll(logits.data(), stats, n / 2), exact_normalizer(logits) - logits[n / 2],
                  3e-7);
      EXPECT_EQ(logits[stats.argmax], stats.max);
    }
  }
}

TEST(LogSoftmax, KlEqualsTheExactSum) {
  const int n = 1000;
  const auto base = random_logits(n, 3, 1);
  for (const double change : {0.0, 1e-3, 0.1, 2.0}) {
    auto model = base;
    const auto noise = random_logits(n, change, 2);
    for (int i = 0; i < n; ++i) model[i] += noise[i] + 5;  // a shift of all changes nothing
    const double zb = exact_normalizer(base), zm = exact_normalizer(model);
    double exact = 0;
    for (int i = 0; i < n; ++i) exact += std::exp(base[i] - zb) * (base[i] - zb - model[i] + zm);
    const double kl =
        row_kl(base.data(), row_stats(base.data(), n), model.data(), row_stats(model.data(), n), n);
    EXPECT_NEAR(kl, exact, 1e-6) << change;
    EXPECT_GE(kl, 0);
  }
}

TEST(LogSoftmax, NotFiniteIsReported) {
  std::vector<float> logits = {1, 2, 3};
  EXPECT_TRUE(row_stats(logits.data(), 3).finite);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    logits[1] = bad;
    EXPECT_FALSE(row_stats(logits.data(), 3).finite);
  }
}

}  // namespace
}  // namespace sentinel
