// Scores that run the model: what heads add, their attention entropy, and the loss without a head.
#include <algorithm>

#include "app/prune/calibration.h"
#include "app/prune/head_choice.h"
#include "app/prune/least_squares.h"
#include "app/prune/ranking.h"
#include "base/error.h"
#include "base/windows.h"

namespace sentinel {
namespace {

constexpr double kRidge = 1e-3;

TokenWindows windows_of(const RankingInput& input) {
  TokenWindows windows = cut_windows(input.calibration, input.window_size(), 2);
  if (windows.empty()) {
    throw usage_error("the calibration text is too short: at least 2 tokens are needed");
  }
  return windows;
}

// The caller's, else `own` with what is collected now.
const CalibrationStats& stats_of(const RankingInput& input, bool moments, CalibrationStats& own) {
  if (input.stats) return *input.stats;
  own = collect_head_stats(input, moments);
  return own;
}

HeadLossOptions loss_options(const RankingInput& input) {
  HeadLossOptions options;
  options.meter.vocabulary = input.vocabulary;
  options.meter.cancel = input.cancel;
  if (input.progress) {
    options.progress = [&input, total = input.checkpoint->config().total_heads()](int done) {
      input.progress(done, total);
    };
  }
  return options;
}

}  // namespace

CalibrationStats collect_head_stats(const RankingInput& input, bool moments) {
  return collect_stats(input.checkpoint, windows_of(input),
                       {.ffn = false, .moments = moments, .cancel = input.cancel}, *input.runner);
}

HeadScores score_output(const RankingInput& input) {
  HeadScores scores;
  CalibrationStats own;
  for (const LayerStats& layer : stats_of(input, false, own).layers) {
    scores.push_back(layer.output);
  }
  return scores;
}

HeadScores score_entropy(const RankingInput& input) {
  HeadScores scores;
  CalibrationStats own;
  for (const LayerStats& layer : stats_of(input, false, own).layers) {
    auto& row = scores.emplace_back();
    // A head that spreads its attention evenly tells its tokens apart least: it goes first.
    for (const double entropy : layer.entropy) row.push_back(-entropy);
  }
  return scores;
}

HeadScores score_ablation(const RankingInput& input) {
  return losses_without_heads(input.checkpoint, windows_of(input), *input.runner,
                              loss_options(input));
}

HeadScores score_obs(const RankingInput& input) {
  const ModelConfig& config = input.checkpoint->config();
  CalibrationStats own;
  const CalibrationStats& stats = stats_of(input, true, own);
  std::vector<OptimalRemoval> states;
  for (int l = 0; l < config.n_layers; ++l) {
    states.emplace_back(stats.layers[l].attention.unpack(), copy_layer(*input.checkpoint, l).o,
                        config.d_model, kRidge);
  }
  const int64_t block = int64_t{config.head_dim} * config.d_model;
  HeadLossOptions options = loss_options(input);
  options.edit = [&](int l, int h, EditableLayer& without) {
    const LinearMap map = states[l].map_without(h * config.head_dim, config.head_dim);
    const std::vector<int> kept = all_but(without.n_heads() + 1, {{h}});
    for (size_t i = 0; i < kept.size(); ++i) {
      std::copy_n(map.w.begin() + kept[i] * block, block, without.o.begin() + i * block);
    }
    for (size_t o = 0; o < without.o_bias.size(); ++o) without.o_bias[o] += map.bias[o];
  };
  return losses_without_heads(input.checkpoint, windows_of(input), *input.runner, options);
}

}  // namespace sentinel
