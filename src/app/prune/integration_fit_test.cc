#include "app/prune/integration_fit.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel {
namespace {

const std::string kRoot = SENTINEL_SOURCE_DIR;

// Small amounts, so only what must hold: the sets are whole, what is kept lowered the held-out
// loss, mixing brings the pruned model close to the dense one, and the same input gives the same.
TEST(IntegrationFit, BringsThePrunedModelCloserOnWindowsItWasNotFittedTo) {
  const auto checkpoint = Checkpoint::open(kRoot + "/models/sentinel-mini");
  const auto tokenizer = Tokenizer::load(checkpoint->folder());
  const auto text = tokenizer->encode(read_file(kRoot + "/texts/calibration.txt").substr(0, 20000));
  const auto pool = std::make_shared<ThreadPool>(1);
  std::vector<HeadId> heads;
  for (int i = 0; i < 64; i += 2) heads.push_back({i / 8, i % 8});
  IntegrationFitOptions options;
  options.window = 64;
  options.max_tokens = 2048;
  const auto fit = fit_integration(checkpoint, checkpoint, heads, text, pool, "", options);
  ASSERT_EQ(fit.sets.size(), 3U);
  EXPECT_EQ(fit.tokens, 1536);
  for (const IntegrationFitSet& set : fit.sets) {
    EXPECT_LE(set.loss_after, set.loss_before) << set.name;
    EXPECT_EQ(set.layers, 4) << set.name;
    EXPECT_LE(set.layers_kept, 4) << set.name;
  }
  EXPECT_LT(fit.sets[1].loss_after, fit.sets[1].loss_before - 0.1);  // the dense model helps
  EXPECT_EQ(fit.weights->mix.size(), 8U);
  EXPECT_TRUE(fit.weights->mix[3].baseline.empty());
  const auto again = fit_integration(checkpoint, checkpoint, heads, text, pool, "", options);
  EXPECT_EQ(integration_bytes(*again.weights), integration_bytes(*fit.weights));
}

// Where nothing was removed there is nothing to make up for.
TEST(IntegrationFit, LeavesTheDenseModelAlone) {
  const auto checkpoint = Checkpoint::open(kRoot + "/models/sentinel-mini");
  const auto tokenizer = Tokenizer::load(checkpoint->folder());
  const auto text = tokenizer->encode(read_file(kRoot + "/texts/calibration.txt").substr(0, 8000));
  IntegrationFitOptions options;
  options.window = 64;
  options.max_tokens = 512;
  const auto fit = fit_integration(checkpoint, checkpoint, {}, text,
                                   std::make_shared<ThreadPool>(1), "", options);
  for (const IntegrationFitSet& set : fit.sets) EXPECT_NEAR(set.loss_after, set.loss_before, 1e-3);
  EXPECT_THROW(fit_integration(checkpoint, checkpoint, {}, std::span(text).first(100),
                               std::make_shared<ThreadPool>(1), "", options),
               Error);
}

}  // namespace
}  // namespace sentinel
