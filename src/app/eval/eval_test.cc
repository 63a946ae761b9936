#include "app/eval/eval.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/rng.h"
#include "model/testing/fake_model.h"

namespace sentinel {
namespace {

using testing::FakeModel;
using testing::FakeTokenizer;

constexpr int kVocab = 7, kContext = 10;

// Logits that depend on the last two tokens and on the position in the window.
void bigram_logits(const std::vector<int32_t>& tokens, float sharpness, float* logits) {
  const int32_t last = tokens.back();
  const int32_t before = tokens.size() > 1 ? tokens[tokens.size() - 2] : 0;
  for (int i = 0; i < kVocab; ++i) {
    logits[i] = sharpness *
                std::sin(1.7F * static_cast<float>(last) + 0.3F * static_cast<float>(before * i) +
                         0.1F * static_cast<float>(tokens.size()) + static_cast<float>(i * i));
  }
}

FakeModel make_model(float sharpness) {
  return FakeModel(kVocab, kContext, [sharpness](const std::vector<int32_t>& t, float* logits) {
    bigram_logits(t, sharpness, logits);
  });
}

std::vector<int32_t> random_tokens(int n) {
  Rng rng(3);
  std::vector<int32_t> tokens(n);
  for (auto& t : tokens) t = static_cast<int32_t>(rng.below(kVocab));
  return tokens;
}

std::vector<double> probabilities(std::span<const int32_t> prefix, float sharpness) {
  std::vector<float> logits(kVocab);
  bigram_logits({prefix.begin(), prefix.end()}, sharpness, logits.data());
  std::vector<double> p(kVocab);
  double total = 0;
  for (int i = 0; i < kVocab; ++i) total += p[i] = std::exp(double{logits[i]});
  for (auto& x : p) x /= total;
  return p;
}

// The protocol of eval.h, written down once more in the plainest way.
struct Expected {
  double nll = 0, kl = 0, base_nll = 0;
  int scored = 0, agree = 0;
};
Expected expected(const std::vector<int32_t>& tokens, int window, int windows, float model,
                  float base) {
  Expected e;
  for (int w = 0; w < windows; ++w) {
    for (int i = 1; i < window; ++i) {
      const std::span<const int32_t> prefix(tokens.data() + w * window, i);
      const auto p = probabilities(prefix, base), q = probabilities(prefix, model);
      const int32_t target = tokens[w * window + i];
      e.nll -= std::log(q[target]);
      e.base_nll -= std::log(p[target]);
      for (int v = 0; v < kVocab; ++v) e.kl += p[v] * std::log(p[v] / q[v]);
      e.agree += std::max_element(p.begin(), p.end()) - p.begin() ==
                 std::max_element(q.begin(), q.end()) - q.begin();
      ++e.scored;
    }
  }
  return e;
}

TEST(Eval, FollowsTheProtocol) {
  FakeModel model = make_model(2);
  const auto tokens = random_tokens(47);
  const FakeTokenizer tokenizer({"a", "bb", "ccc", "d", "ee", "f", "g"});
  const EvalResult result = evaluate(model, tokens, {.tokenizer = &tokenizer});
  const Expected e = expected(tokens, kContext, 4, 2, 2);  // the last 7 tokens are dropped
  EXPECT_EQ(result.tokens_scored, e.scored);
  EXPECT_EQ(result.windows, 4);
  EXPECT_EQ(result.window, kContext);
  EXPECT_NEAR(result.nll_mean, e.nll / e.scored, 1e-6);
  EXPECT_NEAR(result.perplexity, std::exp(e.nll / e.scored), 1e-5);
  int bytes = 0;
  for (int w = 0; w < 4; ++w) {
    for (int i = 1; i < kContext; ++i) {
      bytes += static_cast<int>(tokenizer.token_bytes(tokens[w * kContext + i]).size());
    }
  }
  EXPECT_EQ(result.bytes_scored, bytes);
  EXPECT_NEAR(*result.bits_per_byte, e.nll / std::log(2) / bytes, 1e-6);
  EXPECT_FALSE(result.divergence);
  double sum = 0;
  for (const double w : result.window_nll) sum += w;
  EXPECT_NEAR(sum / 4, result.nll_mean, 1e-9);
}

TEST(Eval, AnIncompleteWindowCountsOnlyWhenItIsTheOnlyOne) {
  FakeModel model = make_model(1);
  const auto tokens = random_tokens(7);
  EXPECT_EQ(evaluate(model, tokens, {}).tokens_scored, 6);
  EXPECT_EQ(evaluate(model, tokens, {.window = 5}).tokens_scored, 4);
  EXPECT_EQ(evaluate(model, tokens, {.window = 3}).tokens_scored, 4);
  EXPECT_EQ(evaluate(model, tokens, {.window = 3, .max_windows = 1}).tokens_scored, 2);
}

TEST(Eval, DivergenceFromTheBaseIsTheSameStoredCodedAndLive) {
  FakeModel model = make_model(2), base = make_model(1.5);
  const auto tokens = random_tokens(44);
  const Expected e = expected(tokens, kContext, 4, 2, 1.5);
  const size_t rows = 4 * (kContext - 1);
  const size_t f32 = rows * kVocab * 4, u16 = rows * kVocab * 2, none = 0;
  for (const size_t limit : {f32, u16, none}) {
    const BaseLogits logits(base, tokens, {}, limit);
    EXPECT_EQ(logits.stored(), limit > 0);
    EXPECT_EQ(logits.windows(), 4);
    const EvalResult result = evaluate(model, tokens, {}, &logits);
    ASSERT_TRUE(result.divergence);
    EXPECT_NEAR(result.divergence->kl_mean, e.kl / e.scored, 2e-6) << limit;
    EXPECT_NEAR(result.divergence->perplexity_base, std::exp(e.base_nll / e.scored), 1e-5);
    EXPECT_DOUBLE_EQ(result.divergence->top1_agreement, static_cast<double>(e.agree) / e.scored);
    EXPECT_LE(result.divergence->kl_p50, result.divergence->kl_p99);
    EXPECT_GT(result.divergence->kl_p50, 0);
  }
}

TEST(Eval, AModelDoesNotDivergeFromItself) {
  FakeModel model = make_model(2);
  const auto tokens = random_tokens(40);
  const BaseLogits base(model, tokens, {});
  const auto divergence = *evaluate(model, tokens, {}, &base).divergence;
  EXPECT_LT(divergence.kl_mean, 1e-7);
  EXPECT_EQ(divergence.top1_agreement, 1);
}

TEST(Eval, ABaseOfOtherTokensOrWindowsIsRefused) {
  FakeModel model = make_model(2);
  auto tokens = random_tokens(40);
  const BaseLogits base(model, tokens, {});
  EXPECT_THROW(evaluate(model, tokens, {.max_windows = 2}, &base), Error);
  tokens[5] = (tokens[5] + 1) % kVocab;
  EXPECT_THROW(evaluate(model, tokens, {}, &base), Error);
}

TEST(Eval, CancellingKeepsWholeWindows) {
  FakeModel model = make_model(2);
  const auto tokens = random_tokens(40);
  std::atomic<bool> cancel{false};
  const EvalResult result =
      evaluate(model, tokens, {.cancel = &cancel}, nullptr, [&](const EvalProgress& p) {
        if (p.windows_done == 2) cancel = true;
      });
  EXPECT_TRUE(result.interrupted);
  EXPECT_EQ(result.windows, 2);
  EXPECT_EQ(result.tokens_scored, 2 * (kContext - 1));
  const EvalResult none = evaluate(model, tokens, {.cancel = &cancel});
  EXPECT_EQ(none.tokens_scored, 0);
  EXPECT_TRUE(std::isnan(none.perplexity));
}

TEST(Eval, NonsenseIsAnError) {
  FakeModel model = make_model(2);
  const auto tokens = random_tokens(40);
  EXPECT_THROW(evaluate(model, tokens, {.window = kContext + 1}), Error);
  EXPECT_THROW(evaluate(model, tokens, {.window = 1}), Error);
  EXPECT_THROW(evaluate(model, tokens, {.max_windows = -1}), Error);
  EXPECT_THROW(evaluate(model, std::span(tokens).first(1), {}), Error);
  EXPECT_THROW(evaluate(model, std::vector<int32_t>{1, kVocab}, {}), Error);
  EXPECT_THROW(evaluate(model, std::vector<int32_t>{1, -1}, {}), Error);
  FakeModel broken(kVocab, kContext, [](const std::vector<int32_t>&, float* logits) {
    for (int i = 0; i < kVocab; ++i) logits[i] = std::numeric_limits<float>::quiet_NaN();
  });
  EXPECT_THROW(evaluate(broken, tokens, {}), Error);
}

}  // namespace
}  // namespace sentinel
