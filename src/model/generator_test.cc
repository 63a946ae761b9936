#include "model/generator.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "model/testing/fake_model.h"

namespace sentinel {
namespace {

using testing::FakeModel;
using testing::FakeTokenizer;

// After token t comes t + 1; the pieces are cut so that characters and stop strings span tokens.
const FakeTokenizer& tokenizer() {
  static const FakeTokenizer kTokenizer(
      {"a", "b", "c", "\xc3", "\xa9", "E", "N", "D", "x", "y", ""});
  return kTokenizer;
}
constexpr int kEos = 10, kVocab = 11;

FakeModel& counting_model() {
  static FakeModel model(
      kVocab, 32,
      [](const std::vector<int32_t>& tokens, float* logits) {
        for (int i = 0; i < kVocab; ++i) logits[i] = i == (tokens.back() + 1) % kVocab ? 9 : 0;
      },
      kEos);
  return model;
}

struct Shown {
  Generation result;
  std::vector<std::string> pieces;
  std::string text() const {
    std::string all;
    for (const auto& piece : pieces) all += piece;
    return all;
  }
};

Shown generate_from(std::vector<int32_t> prompt, GenerateOptions options, int length = 32) {
  options.sampling.temperature = 0;
  Shown shown;
  const auto session = counting_model().new_session(1, length);
  shown.result = generate(*session, tokenizer(), kVocab, kEos, prompt, options,
                          [&](int32_t, std::string_view text) {
                            shown.pieces.emplace_back(text);
                            return true;
                          });
  return shown;
}

TEST(Generator, StopsAtEndOfTextWithoutShowingIt) {
  const Shown shown = generate_from({0}, {});
  EXPECT_EQ(shown.result.tokens, (std::vector<int32_t>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(shown.result.text,
            "bc\xc3\xa9"
            "ENDxy");
  EXPECT_EQ(shown.text(), shown.result.text);
  EXPECT_EQ(shown.result.stop_reason, StopReason::eos);
}

TEST(Generator, NeverShowsHalfACharacter) {
  const Shown shown = generate_from({0}, {.max_new_tokens = 5});
  EXPECT_EQ(shown.pieces, (std::vector<std::string>{"b", "c", "", "\xc3\xa9", "E"}));
  EXPECT_EQ(shown.result.stop_reason, StopReason::length);
}

TEST(Generator, AStopStringThatSpansTokensIsNotShown) {
  const Shown shown = generate_from({0}, {.stop = {"zz", "END"}});
  EXPECT_EQ(shown.text(), "bc\xc3\xa9");
  EXPECT_EQ(shown.result.text, "bc\xc3\xa9");
  EXPECT_EQ(shown.result.stop_reason, StopReason::stop_string);
  EXPECT_EQ(shown.result.tokens.back(), 7);
}

TEST(Generator, TextThatOnlyBeganLikeAStopStringIsShownAtTheEnd) {
  const Shown shown = generate_from({0}, {.max_new_tokens = 6, .stop = {"ENERGY"}});
  EXPECT_EQ(shown.text(),
            "bc\xc3\xa9"
            "EN");
  EXPECT_EQ(shown.result.text, shown.text());
}

TEST(Generator, EndsWhereTheContextEnds) {
  const Shown shown = generate_from({0, 1, 2}, {.max_new_tokens = 20, .ignore_eos = true}, 6);
  EXPECT_EQ(shown.result.tokens.size(), 4U);  // positions 3, 4, 5 and one more prediction
  EXPECT_EQ(shown.result.stop_reason, StopReason::context);
}

TEST(Generator, ACancelFlagOrCallbackEndsAfterTheCurrentToken) {
  std::atomic<bool> cancel{true};
  const Shown shown = generate_from({0}, {.cancel = &cancel});
  EXPECT_EQ(shown.result.tokens.size(), 1U);
  EXPECT_EQ(shown.result.stop_reason, StopReason::interrupted);
  const auto session = counting_model().new_session(1, 32);
  GenerateOptions options;
  options.sampling.temperature = 0;
  int calls = 0;
  const std::vector<int32_t> prompt = {0};
  const Generation result = generate(*session, tokenizer(), kVocab, kEos, prompt, options,
                                     [&](int32_t, std::string_view) { return ++calls < 3; });
  EXPECT_EQ(result.tokens.size(), 3U);
  EXPECT_EQ(result.stop_reason, StopReason::callback);
}

TEST(Generator, ACallbackThatEndsTheTextIsNotCalledAgain) {
  GenerateOptions options;
  options.sampling.temperature = 0;
  options.stop = {"cE"};  // "c" is held back
  const auto session = counting_model().new_session(1, 32);
  const std::vector<int32_t> prompt = {1};
  int calls = 0;
  const Generation result = generate(*session, tokenizer(), kVocab, kEos, prompt, options,
                                     [&](int32_t, std::string_view) { return ++calls < 1; });
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(result.text, "c");
}

TEST(Generator, TokensBeyondTheTokenizerHaveNoText) {
  const FakeTokenizer short_one({"a", "b"});
  GenerateOptions options;
  options.sampling.temperature = 0;
  options.max_new_tokens = 4;
  const auto session = counting_model().new_session(1, 32);
  const std::vector<int32_t> prompt = {0};
  const Generation result = generate(*session, short_one, kVocab, kEos, prompt, options, nullptr);
  EXPECT_EQ(result.tokens, (std::vector<int32_t>{1, 2, 3, 4}));
  EXPECT_EQ(result.text, "b");
}

TEST(Generator, TimesAreThoseOfTheTokens) {
  const Shown shown = generate_from({0, 1}, {.max_new_tokens = 4});
  const GenerateTimings& t = shown.result.timings;
  EXPECT_EQ(t.step_ns.size(), 3U);
  EXPECT_EQ(t.prompt_tokens, 2);
  EXPECT_GE(t.first_token_ms, t.prefill_ms);
  EXPECT_GT(t.prefill_tokens_per_second(), 0);
  EXPECT_GT(t.decode_tokens_per_second(), 0);
}

TEST(Generator, BadRequestsAreErrors) {
  EXPECT_THROW(generate_from({}, {}), Error);
  EXPECT_THROW(generate_from({0, 1, 2}, {}, 2), Error);
  EXPECT_THROW(generate_from({0}, {.max_new_tokens = 0}), Error);
  EXPECT_THROW(generate_from({0}, {.stop = {"x", ""}}), Error);
}

TEST(StopFilter, HoldsBackTheLongestPossibleBeginning) {
  StopFilter filter({"abc", "bcd"});
  EXPECT_EQ(filter.feed("xab"), "x");
  EXPECT_EQ(filter.feed("b"),
            "a"
            "b");
  EXPECT_EQ(filter.feed("c"), "");
  EXPECT_EQ(filter.feed("e"), "bce");
  EXPECT_EQ(filter.feed("ab"), "");
  EXPECT_EQ(filter.feed("cq"), "");
  EXPECT_TRUE(filter.stopped());
  EXPECT_EQ(filter.feed("more"), "");
  EXPECT_EQ(filter.flush(), "");
}

}  // namespace
}  // namespace sentinel
