#include "model/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "base/error.h"

namespace sentinel {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

SamplingOptions options(double temperature, int top_k = 0, double top_p = 1, double penalty = 1) {
  return {temperature, top_k, top_p, penalty, 7};
}

std::map<int32_t, int> histogram(const SamplingOptions& o, const std::vector<float>& logits,
                                 int draws) {
  Sampler sampler(o, static_cast<int>(logits.size()));
  std::map<int32_t, int> counts;
  for (int i = 0; i < draws; ++i) ++counts[sampler.sample(logits)];
  return counts;
}

// Chi-square of counts against softmax(logits / temperature) over the allowed tokens.
double chi_square(const std::map<int32_t, int>& counts, const std::vector<float>& logits,
                  double temperature, const std::vector<int32_t>& allowed, int draws) {
  double total = 0, chi = 0;
  for (const int32_t t : allowed) total += std::exp(logits[t] / temperature);
  for (const int32_t t : allowed) {
    const double expected = draws * std::exp(logits[t] / temperature) / total;
    const auto found = counts.find(t);
    const double seen = found == counts.end() ? 0 : found->second;
    chi += (seen - expected) * (seen - expected) / expected;
  }
  return chi;
}

TEST(Sampler, DrawsFollowTheSoftmaxAtTheTemperature) {
  const std::vector<float> logits = {0.5F, -1, 2, 0, 1.5F, -0.5F};
  for (const double temperature : {0.5, 1.0, 2.0}) {
    const auto counts = histogram(options(temperature), logits, 20000);
    // 5 degrees of freedom: 30 is exceeded by chance once in 10^5; the seed is fixed anyway.
    EXPECT_LT(chi_square(counts, logits, temperature, {0, 1, 2, 3, 4, 5}, 20000), 30);
  }
}

TEST(Sampler, TopKKeepsTheBestAndTheirProportions) {
  const std::vector<float> logits = {0.5F, -1, 2, 0, 1.5F, -0.5F};
  const auto counts = histogram(options(1, 3), logits, 20000);
  EXPECT_EQ(counts.size(), 3U);
  EXPECT_LT(chi_square(counts, logits, 1, {0, 2, 4}, 20000), 25);
}

TEST(Sampler, EqualScoresAtTheEdgeOfTopKGoToTheLowerToken) {
  const auto counts = histogram(options(1, 2), {1, 1, 1, 1}, 1000);
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_TRUE(counts.contains(0) && counts.contains(1));
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesTheShare) {
  // Shares 0.5, 0.3, 0.15, 0.05.
  const std::vector<float> logits = {std::log(0.05F), std::log(0.5F), std::log(0.15F),
                                     std::log(0.3F)};
  EXPECT_EQ(histogram(options(1, 0, 0.49), logits, 500).size(), 1U);
  EXPECT_EQ(histogram(options(1, 0, 0.6), logits, 500).size(), 2U);
  EXPECT_EQ(histogram(options(1, 0, 0.9), logits, 500).size(), 3U);
  EXPECT_EQ(histogram(options(1, 0, 0.99), logits, 2000).size(), 4U);
  // After top-k 2 the shares are 0.625 and 0.375.
  EXPECT_EQ(histogram(options(1, 2, 0.6), logits, 500).size(), 1U);
}

TEST(Sampler, TopPFindsLargeNuclei) {
  std::vector<float> logits(5000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = -1e-4F * static_cast<float>(i);
  double total = 0, sum = 0;
  for (const float l : logits) total += std::exp(double{l});
  size_t nucleus = 0;
  while (sum < 0.5 * total) sum += std::exp(double{logits[nucleus++]});
  int32_t largest = 0;
  for (const auto& [token, count] : histogram(options(1, 0, 0.5), logits, 4000)) {
    largest = std::max(largest, token);
  }
  EXPECT_LT(largest, static_cast<int32_t>(nucleus));
  EXPECT_GT(largest, static_cast<int32_t>(nucleus * 9 / 10));
}

// Peaked and flat distributions, with and without top-k, against a sort of everything.
TEST(Sampler, TopPIsThatOfASortedVocabulary) {
  constexpr size_t kVocabulary = 3000;
  for (const double width : {0.001, 0.3, 4.0, 60.0}) {
    std::vector<float> logits(kVocabulary);
    for (size_t i = 0; i < kVocabulary; ++i) {
      logits[i] = static_cast<float>(width * std::sin(static_cast<double>(i * i % 997)));
    }
    std::vector<int32_t> order(kVocabulary);
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
    for (const size_t top_k : {size_t{0}, size_t{900}}) {
      const size_t limit = top_k > 0 ? top_k : kVocabulary;
      double total = 0, sum = 0;
      for (size_t i = 0; i < limit; ++i) total += std::exp(logits[order[i]] - double{width});
      std::vector<bool> nucleus(kVocabulary);
      for (size_t i = 0; i < limit && sum < 0.7 * total; ++i) {
        sum += std::exp(logits[order[i]] - double{width});
        nucleus[static_cast<size_t>(order[i])] = true;
      }
      for (const auto& [token, n] :
           histogram(options(1, static_cast<int>(top_k), 0.7), logits, 3000)) {
        EXPECT_TRUE(nucleus[static_cast<size_t>(token)]) << width << " " << top_k << " " << token;
      }
    }
  }
}

// The race without its shortcut.
TEST(Sampler, TheShortcutOfTheRaceChangesNoDraw) {
  std::vector<float> logits(2000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = 3 * std::sin(static_cast<float>(i * i));
  const auto mix = [](uint64_t z) {
    z += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  };
  Sampler sampler(options(0.7), static_cast<int>(logits.size()));
  for (uint64_t n = 0; n < 500; ++n) {
    const uint64_t stream = mix(7 + mix(n));
    double first = std::numeric_limits<double>::infinity();
    size_t winner = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
      const double u = (static_cast<double>(mix(stream + i) >> 11) + 0.5) * 0x1.0p-53;
      const double time = -std::log(u) / std::exp(logits[i] / 0.7);
      if (time < first) winner = i;
      first = std::min(first, time);
    }
    ASSERT_EQ(sampler.sample(logits), static_cast<int32_t>(winner));
  }
}

TEST(Sampler, TinyTemperaturesAreGreedy) {
  for (const double temperature : {1e-30, 1e-300}) {
    for (const double top_p : {0.5, 1.0}) {
      const auto counts = histogram(options(temperature, 0, top_p), {1, 3, 2}, 20);
      EXPECT_EQ(counts, (std::map<int32_t, int>{{1, 20}}));
    }
  }
}

TEST(Sampler, TemperatureZeroIsGreedyAndDrawsNothing) {
  EXPECT_EQ(histogram(options(0), {1, 3, 3, 2}, 50), (std::map<int32_t, int>{{1, 50}}));
}

TEST(Sampler, RepetitionPenaltyDividesPositiveAndMultipliesNegativeLogits) {
  Sampler sampler(options(0, 0, 1, 2), 3);
  EXPECT_EQ(sampler.sample(std::vector<float>{3, 2, -9}), 0);
  sampler.accept(0);
  EXPECT_EQ(sampler.sample(std::vector<float>{3, 2, -9}), 1);       // 1.5, 2
  EXPECT_EQ(sampler.sample(std::vector<float>{-1, -1.5F, -9}), 1);  // -2, -1.5
  EXPECT_EQ(sampler.sample(std::vector<float>{5, 2, -9}), 0);       // 2.5, 2
}

TEST(Sampler, TheSameSeedGivesTheSameTokens) {
  std::vector<float> logits(1000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = std::sin(static_cast<float>(i));
  SamplingOptions o = options(1, 40, 0.95);
  Sampler a(o, 1000), b(o, 1000);
  o.seed = 8;
  Sampler c(o, 1000);
  int different = 0;
  for (int i = 0; i < 100; ++i) {
    const int32_t token = a.sample(logits);
    EXPECT_EQ(token, b.sample(logits));
    different += token != c.sample(logits);
  }
  EXPECT_GT(different, 50);
}

TEST(Sampler, NanIsNeverChosenAndInfinityAlwaysWins) {
  for (const double temperature : {0.0, 1.0}) {
    for (const int top_k : {0, 2}) {
      for (const double top_p : {0.9, 1.0}) {
        const SamplingOptions o = options(temperature, top_k, top_p);
        for (const auto& [token, n] : histogram(o, {kNan, 1, kNan, 0, -kInf}, 200)) {
          EXPECT_TRUE(token == 1 || token == 3) << token;
        }
        EXPECT_EQ(histogram(o, {1, kInf, kNan, 0}, 50), (std::map<int32_t, int>{{1, 50}}));
        EXPECT_THROW(histogram(o, {kNan, kNan, -kInf}, 1), Error);
      }
    }
  }
}

TEST(Sampler, OptionsOutOfRangeAreRefused) {
  for (const SamplingOptions& o :
       {options(-1), options(std::nan("")), options(1, -1), options(1, 0, 0), options(1, 0, 1.1),
        options(1, 0, std::nan("")), options(1, 0, 1, 0), options(1, 0, 1, std::nan(""))}) {
    EXPECT_THROW(Sampler(o, 4), Error);
  }
}

}  // namespace
}  // namespace sentinel
