#include "app/sweep/recovered_models.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "app/prune/prune.h"
#include "app/sweep/profile_run.h"
#include "base/error.h"
#include "base/files.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel {
namespace {
namespace fs = std::filesystem;

const std::string kRoot = SENTINEL_SOURCE_DIR;
const std::vector<HeadId> kRemoved = {{0, 1}, {0, 6}, {2, 0}, {5, 7}};

std::string calibration_text() {
  return read_file(kRoot + "/texts/calibration.txt").substr(0, 40000);
}

std::vector<float> last_logits(std::shared_ptr<const Checkpoint> checkpoint,
                               const ModelOptions& options, std::span<const int32_t> tokens) {
  const auto model = Model::create(std::move(checkpoint), options);
  std::vector<float> logits(static_cast<size_t>(model->config().vocab_size));
  model->new_session(1, 64)->prefill(0, tokens, logits.data());
  return logits;
}

TEST(RecoveredModels, ComputeWhatPruningWouldHaveWritten) {
  const auto mini = Checkpoint::open(kRoot + "/models/sentinel-mini");
  RecoveredModels models;
  models.checkpoint = mini;
  models.tokens = Tokenizer::load(mini->folder())->encode(calibration_text().substr(0, 10000));
  models.recover = Recover::refit;
  models.threads = 1;

  PruneOptions options;
  options.threads = 1;
  PrunePlan plan;
  plan.layers.resize(8);
  for (const HeadId id : kRemoved) plan.layers[id.layer].heads.push_back(id.head);
  const PruneResult pruned =
      Pruner(mini, models.tokens, "", options, nullptr).apply(std::move(plan));

  const auto text = std::span(models.tokens).first(40);
  ModelOptions removed;
  removed.threads = 1;
  removed.removed_heads = kRemoved;
  const auto ours = last_logits(models.without(kRemoved), removed, text);
  removed.removed_heads.clear();
  const auto theirs = last_logits(as_checkpoint(pruned.model), removed, text);
  const auto dense = last_logits(mini, removed, text);
  double moved = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    ASSERT_NEAR(ours[i], theirs[i], 1e-4);
    moved = std::max(moved, std::fabs(double{ours[i]} - dense[i]));
  }
  EXPECT_GT(moved, 1e-2);
}

TEST(RecoveredModels, ProfileReportsTheQualityOfEachRecovery) {
  const fs::path folder =
      fs::temp_directory_path() / fmt::format("sentinel-recovered-{}", getpid());
  fs::remove_all(folder);
  fs::create_directories(folder);
  write_file_atomic(folder / "calibration.txt", calibration_text());
  ProfileOptions options;
  options.model_name = kRoot + "/models/sentinel-mini";
  options.text = kRoot + "/texts/validation.txt";
  options.calibration = folder / "calibration.txt";
  options.output_dir = folder;
  options.model_options.threads = 1;
  options.max_footprint_mb = 0;
  options.pruning_levels = "0,50";
  options.strategy = "magnitude";
  options.sequence_length = 12;
  options.generated_tokens = 3;
  options.iterations = 1;
  options.warmup = 0;
  options.max_eval_windows = 2;
  const auto measured = [&](const char* recover) {
    options.recover = recover;
    options.output_prefix = recover;
    const ProfileResult result = run_profile(options);
    // Closed at run time or removed: the same function.
    EXPECT_NEAR(result.original.at(50).quality->nll_mean, result.optimized.at(50).quality->nll_mean,
                1e-4);
    EXPECT_NEAR(result.original.at(0).quality->kl_mean, 0, 1e-6);
    return result.original.at(50).quality->kl_mean;
  };
  const double none = measured("none"), refit = measured("refit");
  EXPECT_LT(refit, 0.95 * none);
  options.recover = "magic";
  EXPECT_THROW(run_profile(options), Error);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace sentinel
