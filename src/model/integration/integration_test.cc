// Integration points: the fast model equals the plain one, cached steps equal a prefill, points
// that change nothing leave the bits alone, and the weights' file is read strictly.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "base/rng.h"
#include "model/integration/weights.h"
#include "model/model.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel {
namespace {

const std::string kFolder = std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini";

IntegrationSet random_set(const ModelConfig& config, bool mix, bool unet, double size) {
  Rng rng(5);
  IntegrationSet set(static_cast<size_t>(config.n_layers));
  const auto random_mix = [&] {
    FeatureMix m;
    for (int i = 0; i < config.d_model; ++i) {
      m.keep.push_back(static_cast<float>(1 + size * rng.normal()));
      m.take.push_back(static_cast<float>(size * rng.normal()));
      m.shift.push_back(static_cast<float>(size * rng.normal()));
    }
    return m;
  };
  for (int l = config.n_layers / 2; l < config.n_layers; ++l) {
    if (mix) set[static_cast<size_t>(l)].baseline = random_mix();
    if (unet && skip_source(config.n_layers, l) >= 0)
      set[static_cast<size_t>(l)].skip = random_mix();
  }
  return set;
}

std::shared_ptr<IntegrationWeights> random_weights(const ModelConfig& config, double size) {
  auto weights = std::make_shared<IntegrationWeights>();
  weights->unet = random_set(config, false, true, size);
  weights->mix = random_set(config, true, false, size);
  weights->both = random_set(config, true, true, size);
  return weights;
}

std::vector<HeadId> every_second_head() {
  std::vector<HeadId> heads;
  for (int i = 0; i < 64; i += 2) heads.push_back({i / 8, i % 8});
  return heads;
}

std::vector<int32_t> some_tokens(size_t n) {
  const auto tokenizer = Tokenizer::load(kFolder);
  auto ids = tokenizer->encode(
      read_file(std::string(SENTINEL_SOURCE_DIR) + "/texts/validation.txt").substr(0, 4000));
  ids.resize(n);
  return ids;
}

std::vector<float> all_logits(Session& session, std::span<const int32_t> tokens, int vocab) {
  std::vector<float> out;
  session.truncate(0, 0);
  session.prefill(0, tokens, [&](int, int rows, const float* logits) {
    out.insert(out.end(), logits, logits + int64_t{rows} * vocab);
  });
  return out;
}

double worst(const std::vector<float>& a, const std::vector<float>& b) {
  double most = a.size() == b.size() ? 0 : HUGE_VAL;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    most = std::max(most, std::fabs(double{a[i]} - b[i]));
  }
  return most;
}

class Points : public testing::TestWithParam<std::pair<bool, bool>> {
 protected:
  ModelOptions options(int level, double size) const {
    ModelOptions o;
    o.level = level;
    o.threads = level == 0 ? 1 : 2;
    o.mix_baseline = GetParam().first;
    o.unet = GetParam().second;
    o.removed_heads = every_second_head();
    o.integration = random_weights(checkpoint_->config(), size);
    return o;
  }
  std::shared_ptr<const Checkpoint> checkpoint_ = Checkpoint::open(kFolder);
};

TEST_P(Points, LevelOneEqualsThePlainModelAndDiffersFromNone) {
  const auto tokens = some_tokens(24);
  const auto plain = Model::create(checkpoint_, options(0, 0.05));
  const auto fast = Model::create(checkpoint_, options(1, 0.05));
  EXPECT_EQ(fast->info().mix_baseline, GetParam().first);
  EXPECT_EQ(fast->info().unet, GetParam().second);
  const auto want = all_logits(*plain->new_session(1, 64), tokens, 4096);
  EXPECT_LT(worst(all_logits(*fast->new_session(1, 64), tokens, 4096), want), 1e-3);
  ModelOptions none = options(1, 0.05);
  none.mix_baseline = none.unet = false;
  const auto without = Model::create(checkpoint_, none);
  EXPECT_GT(worst(all_logits(*without->new_session(1, 64), tokens, 4096), want), 0.05);
}

// Long enough for blocks of rows that share their norms, with a truncation and protected first
// positions on the way.
TEST_P(Points, CachedStepsEqualAPrefill) {
  const auto tokens = some_tokens(90);
  for (const bool protect : {false, true}) {
    ModelOptions o = options(1, 0.05);
    o.protect_first = protect;
    const auto model = Model::create(checkpoint_, o);
    const auto session = model->new_session(2, 96);
    const auto want = all_logits(*session, tokens, 4096);
    const auto first = std::span(tokens).first(60);
    session->truncate(0, 0);
    session->prefill(0, first, nullptr);
    session->truncate(0, 50);
    session->prefill(1, first.first(50), nullptr);
    std::vector<float> logits(2 * 4096), got;
    for (size_t i = 50; i < tokens.size(); ++i) {
      const int32_t both[] = {tokens[i], tokens[i]};
      session->step(both, logits.data());
      EXPECT_LT(
          worst({logits.begin(), logits.begin() + 4096}, {logits.begin() + 4096, logits.end()}),
          1e-4);
      got.insert(got.end(), logits.begin(), logits.begin() + 4096);
    }
    EXPECT_LT(worst(got, {want.begin() + 50 * 4096, want.end()}), 1e-3) << protect;
  }
}

TEST_P(Points, NeutralWeightsChangeNothing) {
  const auto tokens = some_tokens(20);
  ModelOptions none = options(1, 0);
  const auto with = Model::create(checkpoint_, none);
  none.mix_baseline = none.unet = false;
  const auto without = Model::create(checkpoint_, none);
  EXPECT_EQ(all_logits(*with->new_session(1, 32), tokens, 4096),
            all_logits(*without->new_session(1, 32), tokens, 4096));
}

// Taking the dense model's stream over whole gives the dense model's output but for the last
// layers' own work: the baseline's states really arrive, at the right rows.
TEST(Mixing, ReallyTakesTheBaselinesStates) {
  const auto checkpoint = Checkpoint::open(kFolder);
  const auto tokens = some_tokens(40);
  const int d = checkpoint->config().d_model;
  auto weights = std::make_shared<IntegrationWeights>();
  weights->mix.resize(8);
  weights->mix[7].baseline = {std::vector<float>(d, 0), std::vector<float>(d, 1),
                              std::vector<float>(d, 0)};
  ModelOptions o;
  o.level = 1;
  o.threads = 2;
  o.removed_heads = every_second_head();
  o.mix_baseline = true;
  o.integration = weights;
  const auto mixed = Model::create(checkpoint, o);
  ModelOptions dense_mix = o;
  dense_mix.removed_heads.clear();
  // Behind the mix nothing of the pruned model is left: its heads do not matter any more.
  const auto other = Model::create(checkpoint, dense_mix);
  EXPECT_LT(worst(all_logits(*mixed->new_session(1, 64), tokens, 4096),
                  all_logits(*other->new_session(1, 64), tokens, 4096)),
            1e-3);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Points,
                         testing::Values(std::pair{true, false}, std::pair{false, true},
                                         std::pair{true, true}));

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

TEST(IntegrationFile, IsReadAsItWasWritten) {
  const auto checkpoint = Checkpoint::open(kFolder);
  const auto weights = random_weights(checkpoint->config(), 0.1);
  const std::string file = integration_bytes(*weights);
  const auto read = parse_integration(bytes_of(file), checkpoint->config(), "f");
  ASSERT_EQ(read.both.size(), 8U);
  EXPECT_EQ(read.both[5].skip.take, weights->both[5].skip.take);
  EXPECT_EQ(read.mix[7].baseline.shift, weights->mix[7].baseline.shift);
  EXPECT_TRUE(read.unet[4].baseline.empty());
  EXPECT_EQ(integration_bytes(read), file);
}

TEST(IntegrationFile, RefusesWhatIsNotWhole) {
  const auto checkpoint = Checkpoint::open(kFolder);
  const auto weights = random_weights(checkpoint->config(), 0.1);
  const std::string file = integration_bytes(*weights);
  const auto refuses = [&](std::string text) {
    EXPECT_THROW(parse_integration(bytes_of(text), checkpoint->config(), "f"), Error);
  };
  const auto renamed = [&](const std::string& from, const std::string& to) {
    std::string text = file;
    text.replace(text.find(from), from.size(), to);
    refuses(text);
  };
  renamed("mix.h.4.baseline.keep", "mix.h.4.baseline.kept");
  renamed("mix.h.4.baseline.keep", "mix.h.1.baseline.keep");  // no decoder layer
  renamed("mix.h.4.baseline.keep", "mix.h.9.baseline.keep");
  renamed("unet.h.4.skip.keep", "unet.g.4.skip.keep");
  renamed("unet.h.4.skip.keep", "both.h.4.skip.keep");  // twice, and the set lacks one
  refuses(file.substr(0, file.size() - 4));
  refuses("");
  std::string nan = file;
  const float value = NAN;
  nan.replace(nan.size() - 4, 4, reinterpret_cast<const char*>(&value), 4);
  refuses(nan);
  ModelConfig other = checkpoint->config();
  other.d_model = 128;
  EXPECT_THROW(parse_integration(bytes_of(file), other, "f"), Error);
}

TEST(IntegrationFile, PointsWithoutWeightsAreRefused) {
  const auto checkpoint = Checkpoint::open(kFolder);
  ModelOptions o;
  o.unet = true;
  EXPECT_THROW(Model::create(checkpoint, o), Error);
  auto weights = std::make_shared<IntegrationWeights>();
  o.integration = weights;
  EXPECT_THROW(Model::create(checkpoint, o), Error);
  weights->unet.resize(3);
  EXPECT_THROW(Model::create(checkpoint, o), Error);
  EXPECT_EQ(find_integration(kFolder, checkpoint->config()), nullptr);
}

}  // namespace
}  // namespace sentinel
