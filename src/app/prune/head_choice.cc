#include "app/prune/head_choice.h"

#include <algorithm>

#include "base/error.h"

namespace sentinel {
namespace {

constexpr double kBudgetFlops = 6e12;  // of measuring every head once
constexpr int64_t kMinTokens = 384, kMaxTokens = 8192;
constexpr int64_t kTrialTokens = 16384;  // of a recovery that only compares
constexpr double kSame = 0.002;          // nats: losses that say nothing of another text

HeadScores mean(const HeadScores& a, const HeadScores& b) {
  HeadScores out = a;
  for (size_t l = 0; l < a.size(); ++l) {
    for (size_t h = 0; h < a[l].size(); ++h) out[l][h] = (a[l][h] + b[l][h]) / 2;
  }
  return out;
}

struct Trial {
  HeadChoice choice;
  double loss = 0, loss_before = 0;  // after and before recovery
};

// Measures on held-out windows; the recovery is a quick one.
void run_trial(const std::shared_ptr<const Checkpoint>& checkpoint,
               const CalibrationSet& calibration, RecoveryOptions options, SublayerRunner& runner,
               Trial& trial) {
  const ModelConfig& config = checkpoint->config();
  EditableModel model(checkpoint);
  for (size_t l = 0; l < model.layers.size(); ++l) {
    EditableLayer& layer = model.layers[l];
    layer.keep_heads(all_but(layer.n_heads(), trial.choice.heads[l]), config.head_dim,
                     config.d_model);
  }
  LossMeter meter(checkpoint, spread_tokens(calibration.held_out, kTrialTokens), runner,
                  {.protect_first = options.protect_first,
                   .type = options.type,
                   .vocabulary = calibration.vocabulary});
  meter.set_model(model);
  trial.loss_before = meter.loss();
  CalibrationSet some = calibration;
  some.fit = spread_tokens(calibration.fit, kTrialTokens);
  some.held_out = spread_tokens(calibration.held_out, kTrialTokens / 8);
  options.revise = false;
  recover(model, some, options, runner);
  meter.set_model(model);
  trial.loss = meter.loss();
}

const Trial& best_of(const std::vector<Trial>& trials) {
  const auto least = std::min_element(trials.begin(), trials.end(), [](auto& a, auto& b) {
                       return a.loss < b.loss;
                     })->loss;
  return *std::min_element(trials.begin(), trials.end(), [&](auto& a, auto& b) {
    const bool a_worse = a.loss > least + kSame, b_worse = b.loss > least + kSame;
    return a_worse != b_worse ? b_worse : a.loss_before < b.loss_before;
  });
}

int64_t affordable_tokens(const Checkpoint& checkpoint, const CalibrationSet& calibration) {
  const ModelConfig& config = checkpoint.config();
  return static_cast<int64_t>(kBudgetFlops /
                              (config.total_heads() * loss_flops(config, calibration.vocabulary)));
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
      if (options.cancel && *options.cancel) throw Error(ErrorKind::interrupted, "interrupted");
      if (options.progress) options.progress(done++);
      EditableLayer without = dense;
      without.keep_heads(all_but(dense.n_heads(), {{h}}), config.head_dim, config.d_model);
      if (options.edit) options.edit(l, h, without);
      row.push_back(meter.loss_with(2 * l, without) - meter.dense_loss());
    }
  }
  return scores;
}

HeadChoice choose_heads(std::shared_ptr<const Checkpoint> checkpoint,
                        const CalibrationSet& calibration, const HeadChoiceOptions& options,
                        SublayerRunner& runner,
                        const std::function<void(const HeadChoiceProgress&)>& progress) {
  const RecoveryOptions& recovery = options.recovery;
  const int n_heads = checkpoint->config().total_heads();
  const int64_t affordable = affordable_tokens(*checkpoint, calibration);
  const bool compare = affordable >= kMaxTokens;
  const int64_t tokens = options.search_tokens > 0 ? options.search_tokens
                                                   : std::clamp(affordable, kMinTokens, kMaxTokens);
  int measured = 0;
  const auto measure = [&](const TokenWindows& windows, bool protect_first) {
    HeadLossOptions o;
    o.meter = {.protect_first = protect_first,
               .type = recovery.type,
               .vocabulary = calibration.vocabulary};
    o.cancel = recovery.cancel;
    o.progress = [&](int done) {
      if (progress) progress({false, measured + done, compare ? 2 * n_heads : n_heads});
    };
    auto scores = losses_without_heads(checkpoint, spread_tokens(windows, tokens), runner, o);
    measured += n_heads;
    return scores;
  };
  const HeadScores held_out = measure(calibration.held_out, recovery.protect_first);
  if (!compare) return {lowest_heads(held_out, options.count), held_out};
  const HeadScores fit = measure(calibration.fit, false);
  std::vector<Trial> trials;
  const auto add = [&](RemovedHeads heads, const HeadScores& scores) {
    for (const Trial& trial : trials) {
      if (trial.choice.heads == heads) return;
    }
    trials.push_back({{std::move(heads), scores}});
  };
  for (const HeadScores& scores : {mean(held_out, fit), held_out, fit}) {
    add(lowest_heads(scores, options.count), scores);
  }
  if (options.search) add(options.search(), {});
  if (trials.size() == 1) return trials.front().choice;
  for (size_t i = 0; i < trials.size(); ++i) {
    if (progress) progress({true, static_cast<int>(i), static_cast<int>(trials.size())});
    run_trial(checkpoint, calibration, recovery, runner, trials[i]);
  }
  return best_of(trials).choice;
}

}  // namespace sentinel
