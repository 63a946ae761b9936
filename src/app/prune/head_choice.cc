#include "app/prune/head_choice.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace sentinel {
namespace {

constexpr double kBudgetFlops = 6e12;  // of measuring every head once
constexpr int64_t kMinTokens = 384;
constexpr int64_t kTrialTokens = 16384;  // of a recovery that only compares
constexpr double kSame = 0.002;          // nats: losses that say nothing of another text

// Measures on held-out windows; the recovery is a quick one.
void try_removal(const std::shared_ptr<const Checkpoint>& checkpoint,
                 const CalibrationSet& calibration, RecoveryOptions options, SublayerRunner& runner,
                 const RemovedHeads& heads, HeadTrial& trial) {
  const ModelConfig& config = checkpoint->config();
  EditableModel model(checkpoint);
  for (size_t l = 0; l < model.layers.size(); ++l) {
    EditableLayer& layer = model.layers[l];
    layer.keep_heads(all_but(layer.n_heads(), heads[l]), config.head_dim, config.d_model);
  }
  LossMeter meter(checkpoint, spread_tokens(calibration.held_out, kTrialTokens), runner,
                  {.protect_first = options.protect_first,
                   .type = options.type,
                   .vocabulary = calibration.vocabulary,
                   .cancel = options.cancel});
  meter.set_model(model);
  trial.loss_before = meter.loss();
  CalibrationSet some = calibration;
  some.fit = spread_tokens(calibration.fit, kTrialTokens);
  some.held_out = spread_tokens(calibration.held_out, kTrialTokens / 8);
  options.revise = false;
  recover(model, some, options, runner);
  meter.set_model(model);
  trial.loss_after = meter.loss();
}

}  // namespace

RemovedHeads lowest_heads(const HeadScores& scores, int count) {
  RemovedHeads heads(scores.size());
  const std::vector<HeadId> order = removal_order(scores);
  for (int i = 0; i < count; ++i) heads[order[i].layer].push_back(order[i].head);
  for (auto& of_layer : heads) std::sort(of_layer.begin(), of_layer.end());
  return heads;
}

HeadScores losses_without_heads(std::shared_ptr<const Checkpoint> checkpoint,
                                const TokenWindows& windows, SublayerRunner& runner,
                                const HeadLossOptions& options) {
  const ModelConfig& config = checkpoint->config();
  LossMeter meter(checkpoint, windows, runner, options.meter);
  HeadScores scores;
  int done = 0;
  for (int l = 0; l < config.n_layers; ++l) {
    auto& row = scores.emplace_back();
    EditableLayer dense = copy_layer(*checkpoint, l);
    dense.up = dense.down = {};  // copies of the layer need no FFN
    for (int h = 0; h < config.layers[l].n_heads; ++h) {
      if (options.progress) options.progress(done++);
      EditableLayer without = dense;
      without.keep_heads(all_but(dense.n_heads(), {{h}}), config.head_dim, config.d_model);
      if (options.edit) options.edit(l, h, without);
      row.push_back(meter.loss_with(2 * l, without) - meter.dense_loss());
    }
  }
  return scores;
}

int64_t head_loss_tokens(const ModelConfig& config, std::span<const int32_t> vocabulary) {
  const auto affordable =
      static_cast<int64_t>(kBudgetFlops / (config.total_heads() * loss_flops(config, vocabulary)));
  return std::clamp(affordable, kMinTokens, kHeadLossTokens);
}

size_t best_removal(std::shared_ptr<const Checkpoint> checkpoint, const CalibrationSet& calibration,
                    const std::vector<RemovedHeads>& choices, const RecoveryOptions& recovery,
                    SublayerRunner& runner, std::vector<HeadTrial>& trials,
                    const std::function<void(int done, int total)>& progress) {
  const size_t n = choices.size();
  trials.resize(n);
  if (std::all_of(choices.begin(), choices.end(), [&](auto& c) { return c == choices[0]; })) {
    return 0;
  }
  double least = HUGE_VAL;
  for (size_t i = 0; i < n; ++i) {
    if (progress) progress(static_cast<int>(i), static_cast<int>(n));
    const size_t same =
        std::find(choices.begin(), choices.begin() + i, choices[i]) - choices.begin();
    if (same < i) {
      trials[i].loss_before = trials[same].loss_before;
      trials[i].loss_after = trials[same].loss_after;
    } else {
      try_removal(checkpoint, calibration, recovery, runner, choices[i], trials[i]);
    }
    least = std::min(least, trials[i].loss_after);
  }
  const auto best = std::min_element(trials.begin(), trials.end(), [&](auto& a, auto& b) {
    const bool a_worse = a.loss_after > least + kSame, b_worse = b.loss_after > least + kSame;
    return a_worse != b_worse ? b_worse : a.loss_before < b.loss_before;
  });
  return best - trials.begin();
}

}  // namespace sentinel
