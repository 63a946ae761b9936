// Running ahead changes nothing: the same tokens as the target alone, for greedy and for sampling.
#include "model/speculative/verified_session.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/files.h"
#include "kernels/registry.h"
#include "model/generator.h"
#include "model/testing/fake_model.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel {
namespace {

using testing::FakeModel;

constexpr int kVocab = 6;

// What comes next depends on the last two tokens; `noise` makes another model of it.
void small_logits(const std::vector<int32_t>& tokens, double noise, float* logits) {
  const int a = tokens.back(), b = tokens.size() > 1 ? tokens[tokens.size() - 2] : 0;
  for (int i = 0; i < kVocab; ++i) {
    logits[i] = static_cast<float>(1.5 * std::sin(a * 2.1 + b * 0.7 + i * 1.3) +
                                   noise * std::cos(a * 1.7 + i * 2.9));
  }
}

std::unique_ptr<FakeModel> small_model(double noise) {
  return std::make_unique<FakeModel>(kVocab, 64, [noise](const auto& tokens, float* logits) {
    small_logits(tokens, noise, logits);
  });
}

std::unique_ptr<VerifiedSession> verified(Model& target, Model* draft, int max_length,
                                          const SamplingOptions& sampling, int draft_length) {
  std::vector<std::unique_ptr<Drafter>> drafters;
  drafters.push_back(std::make_unique<NgramDrafter>());
  if (draft) drafters.push_back(std::make_unique<ModelDrafter>(*draft, max_length, sampling));
  return std::make_unique<VerifiedSession>(target.new_session(1, max_length),
                                           target.config().vocab_size, std::move(drafters),
                                           draft_length);
}

std::vector<int32_t> sample_text(Session& session, int vocab, std::span<const int32_t> prompt,
                                 const SamplingOptions& sampling, int n) {
  Sampler sampler(sampling, vocab);
  for (const int32_t token : prompt) sampler.accept(token);
  std::vector<float> logits(static_cast<size_t>(vocab));
  std::vector<int32_t> out;
  session.truncate(0, 0);
  session.prefill(0, prompt, logits.data());
  while (true) {
    out.push_back(sampler.sample(logits));
    sampler.accept(out.back());
    if (std::ssize(out) == n) return out;
    session.step({&out.back(), 1}, logits.data());
  }
}

TEST(VerifiedSession, SampledTokensHaveTheTargetsDistribution) {
  constexpr int kRuns = 30000, kLength = 3;
  const auto target = small_model(0), draft = small_model(0.6);
  SamplingOptions sampling{.temperature = 0.9, .top_k = 0};
  const std::vector<int32_t> prompt = {1, 2, 3, 1, 2};
  std::map<std::vector<int32_t>, int> counts;
  int64_t drafted = 0, accepted = 0;
  for (int run = 0; run < kRuns; ++run) {
    sampling.seed = static_cast<uint64_t>(run);
    const auto session = verified(*target, draft.get(), 64, sampling, 3);
    // Two plain steps come first: what counts are the tokens behind them.
    const auto text = sample_text(*session, kVocab, prompt, sampling, 3 + kLength);
    ++counts[std::vector<int32_t>(text.begin() + 1, text.end())];
    for (const auto& source : session->report().drafters) {
      drafted += source.drafted;
      accepted += source.accepted;
    }
  }
  EXPECT_GT(accepted, kRuns / 4);
  EXPECT_LT(accepted, drafted);  // some drafts were wrong, else nothing was tested
  // Exact probabilities of the last kLength tokens given the two before them, by all histories.
  std::map<std::vector<int32_t>, int> given;
  for (const auto& [text, n] : counts) given[{text[0], text[1]}] += n;
  double chi_square = 0;
  int degrees = 0;
  for (const auto& [head, total] : given) {
    std::map<std::vector<int32_t>, double> expected;
    for (int c = 0; c < kVocab * kVocab * kVocab; ++c) {
      std::vector<int32_t> text = {head[0], head[1], c / 36, c / 6 % 6, c % 6};
      double p = 1;
      for (size_t i = 2; i < text.size(); ++i) {
        float logits[kVocab];
        small_logits({text[i - 2], text[i - 1]}, 0, logits);
        double sum = 0;
        for (const float l : logits) sum += std::exp(l / sampling.temperature);
        p *= std::exp(logits[text[i]] / sampling.temperature) / sum;
      }
      expected[text] = p * total;
    }
    double rest_expected = 0, rest_counted = 0;
    for (const auto& [text, e] : expected) {
      const double n = counts.contains(text) ? counts[text] : 0;
      if (e < 5) {
        rest_expected += e;
        rest_counted += n;
        continue;
      }
      chi_square += (n - e) * (n - e) / e;
      ++degrees;
    }
    if (rest_expected > 5) {
      chi_square += (rest_counted - rest_expected) * (rest_counted - rest_expected) / rest_expected;
      ++degrees;
    }
    --degrees;
  }
  // Normal approximation of the chi-square distribution's upper tail at 4 sigma.
  EXPECT_GT(degrees, 500);
  EXPECT_LT(chi_square, degrees + 4 * std::sqrt(2.0 * degrees));
}

TEST(VerifiedSession, TheSameSeedGivesTheTargetsOwnTokens) {
  const auto target = small_model(0), draft = small_model(0.3);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const SamplingOptions sampling{
        .temperature = 1, .top_k = 5, .top_p = 0.95, .repetition_penalty = 1.2, .seed = seed};
    const auto plain = target->new_session(1, 64);
    const std::vector<int32_t> prompt = {0, 4, 0, 4};
    const auto want = sample_text(*plain, kVocab, prompt, sampling, 60);  // fills the context
    for (const int length : {0, 1, 4, kMaxDraft}) {
      const auto session = verified(*target, draft.get(), 64, sampling, length);
      EXPECT_EQ(sample_text(*session, kVocab, prompt, sampling, 60), want);
      EXPECT_EQ(session->length(0), 63);
      EXPECT_EQ(sample_text(*session, kVocab, prompt, sampling, 60), want);  // and again
    }
  }
}

struct MiniCase {
  int level;
  const char* isa;
  size_t prompts;
};
class Mini : public ::testing::TestWithParam<MiniCase> {};

// The pruned, low-precision model drafts; 20 prompts, 64 tokens each.
TEST_P(Mini, GreedyTextIsTheBaselines) {
  const std::string folder = std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini";
  const auto checkpoint = Checkpoint::open(folder);
  const auto tokenizer = Tokenizer::load(folder);
  const auto pool = std::make_shared<ThreadPool>(2);
  const auto base =
      Model::create(checkpoint, {.level = GetParam().level, .pool = pool, .isa = GetParam().isa});
  const auto draft = Model::create(
      checkpoint,
      {.level = 2, .pool = pool, .weights = WeightType::int8, .agency = AgencyMode::off});
  EXPECT_EQ(draft->info().threads, 2);
  for (int l = 0; l < 8; ++l) draft->heads().set_state({l, (3 * l) % 8}, HeadState::withdrawn);
  const std::string text = read_file(std::string(SENTINEL_SOURCE_DIR) + "/texts/validation.txt");
  const auto ids = tokenizer->encode(text.substr(0, 40000));
  const SamplingOptions greedy{.temperature = 0};
  const auto plain = base->new_session(1, 128);
  const auto session = verified(*base, draft.get(), 128, greedy, 4);
  const SamplingOptions warm{.temperature = 0.8, .seed = 9};
  const auto sampled = verified(*base, draft.get(), 128, warm, 4);
  for (size_t prompt = 0; prompt < GetParam().prompts; ++prompt) {
    const auto start = std::span(ids).subspan(prompt * 211, 20 + prompt);
    EXPECT_EQ(sample_text(*session, 4096, start, greedy, 64),
              sample_text(*plain, 4096, start, greedy, 64))
        << prompt;
    if (prompt >= 3) continue;
    EXPECT_EQ(sample_text(*sampled, 4096, start, warm, 64),
              sample_text(*plain, 4096, start, warm, 64));
  }
  const VerifyReport report = session->report();
  EXPECT_EQ(report.steps, static_cast<int64_t>(GetParam().prompts) * 63);
  EXPECT_LT(report.passes, report.steps);
  EXPECT_GT(report.drafters[1].accepted, 0);
}

INSTANTIATE_TEST_SUITE_P(Levels, Mini,
                         ::testing::Values(MiniCase{1, "", 20}, MiniCase{2, "", 20},
                                           MiniCase{3, "", 20}, MiniCase{2, "scalar", 2}));

// Whatever the window's length and wherever it begins, its logits are those of single steps.
TEST(Window, LogitsAreBitForBitThoseOfSingleSteps) {
  const std::string folder = std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini";
  const auto checkpoint = Checkpoint::open(folder);
  const auto tokenizer = Tokenizer::load(folder);
  const std::string text = read_file(std::string(SENTINEL_SOURCE_DIR) + "/texts/validation.txt");
  const auto ids = tokenizer->encode(text.substr(0, 4000));
  const auto pool = std::make_shared<ThreadPool>(2);
  for (const std::string& isa : available_isas(detect_cpu_features())) {
    for (int level = 1; level <= 3; ++level) {
      if (isa == "scalar" && level < 2) continue;  // slow, and the same code as at level 2
      const auto model = Model::create(checkpoint, {.level = level, .pool = pool, .isa = isa});
      model->heads().set_state({1, 2}, HeadState::withdrawn);
      model->heads().set_gate({2, 3}, 0.4F);
      const size_t vocab = 4096, start = level * 100;
      const auto one = model->new_session(1, 256), several = model->new_session(1, 256);
      std::vector<float> want(vocab), got(kMaxDraft * 2 * vocab);
      one->prefill(0, std::span(ids).subspan(start, 9), nullptr);
      several->prefill(0, std::span(ids).subspan(start, 9), nullptr);
      for (size_t n = 1, at = start + 9; n <= 2 * kMaxDraft;
           at += n, n += isa == "scalar" ? 5 : 1) {
        several->window(0, std::span(ids).subspan(at, n), got.data());
        for (size_t i = 0; i < n; ++i) {
          one->step({&ids[at + i], 1}, want.data());
          ASSERT_TRUE(std::equal(want.begin(), want.end(), got.data() + i * vocab))
              << isa << " level " << level << " rows " << n << " row " << i;
        }
      }
    }
  }
}

TEST(Drafter, NgramsGoOnAsBefore) {
  NgramDrafter drafter;
  std::vector<int32_t> out;
  drafter.draft(std::vector<int32_t>{7, 1, 2, 3, 9, 9, 1, 2, 5, 1, 2}, 0, 3, out);
  EXPECT_EQ(out, (std::vector<int32_t>{5, 1, 2}));  // the latest match
  drafter.draft(std::vector<int32_t>{4, 1, 2, 8, 3, 1, 2, 6, 4, 1, 2}, 0, 2, out);
  EXPECT_EQ(out, (std::vector<int32_t>{8, 3}));  // the longest match
  drafter.draft(std::vector<int32_t>{1, 2, 3, 4}, 0, 3, out);
  EXPECT_TRUE(out.empty());
  drafter.draft(std::vector<int32_t>{}, 0, 3, out);
  EXPECT_TRUE(out.empty());
}

TEST(DraftLength, GrowsWithAcceptanceAndSwitchesOffWhenItDoesNotPay) {
  TargetCost target;
  for (int n = 1; n <= kMaxDraft + 1; ++n) target.add(n, 1 + 0.03 * (n - 1));
  const auto settled = [&](double share, double cost) {
    DraftLength length;
    int g = 0;
    for (int round = 0; round < 200; ++round) {
      g = std::max(1, length.choose(target));
      const int right = static_cast<int>(share * g * 4 + round % 4) / 4;  // the share on average
      length.add(g, std::min(right, g), cost * g, target.seconds(g + 1));
    }
    return length.choose(target);
  };
  EXPECT_EQ(settled(1, 0.1), kMaxDraft);
  EXPECT_EQ(settled(0, 0.1), 0);
  EXPECT_EQ(settled(0.5, 2), 0);  // a drafter slower than the target
  DraftLength length;
  for (int round = 0; round < 100; ++round) length.add(4, 0, 0.4, 1.12);
  int trials = 0;
  for (int token = 0; token < 480; ++token) trials += length.choose(target) > 0;
  EXPECT_TRUE(length.off());
  EXPECT_EQ(trials, 4);  // after 32, 64, 128 and 256 tokens: it is given a chance now and then
  EXPECT_NEAR(length.speed_up(1, target), (1 + length.acceptance()) / (0.1 + 1.03), 1e-9);
}

TEST(VerifiedSession, NonsenseIsRefused) {
  const auto target = small_model(0);
  EXPECT_THROW(verified(*target, nullptr, 8, {}, kMaxDraft + 1), Error);
  const auto session = verified(*target, nullptr, 8, {}, 0);
  std::vector<float> logits(kVocab * 2);
  const std::vector<int32_t> two = {1, 2};
  EXPECT_THROW(session->step(two, logits.data()), Error);
  try {
    session->step({}, logits.data());
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no tokens given"), std::string::npos) << error.what();
  }
  EXPECT_THROW(session->truncate(0, -1), Error);
  const int32_t bad = 6;
  EXPECT_THROW(session->step({&bad, 1}, logits.data()), Error);
}

}  // namespace
}  // namespace sentinel
