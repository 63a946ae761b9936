// Which heads go first: scores by strategy, and the order of removal that follows from them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/prune/calibration.h"
#include "app/prune/sublayer.h"
#include "model/agency/head_table.h"
#include "model/checkpoint/checkpoint.h"

namespace sentinel {

// [layer][head present in the layer]; the lowest score is removed first.
using HeadScores = std::vector<std::vector<double>>;

struct RankingInput {
  std::shared_ptr<const Checkpoint> checkpoint;
  SublayerRunner* runner = nullptr;           // only strategies that calibrate use it
  std::span<const int32_t> calibration;       // token ids; only strategies that calibrate use them
  uint64_t seed = 0;                          // only `random` uses it
  const std::atomic<bool>* cancel = nullptr;  // may be null; set: Error (interrupted)
  // Losses are those of a softmax over these ids (LossMeterOptions); empty: over all.
  std::span<const int32_t> vocabulary = {};
  std::function<void(int done, int total)> progress = nullptr;  // heads measured so far
  size_t window = 0;  // of `calibration`, in tokens; 0: the model's context
  // collect_head_stats() of this input, with moments, for several strategies; null: each its own.
  const CalibrationStats* stats = nullptr;

  size_t window_size() const {
    return window ? window : static_cast<size_t>(checkpoint->config().context_length);
  }
};

struct RankingStrategy {
  const char* name;
  const char* definition;  // what the score is, for reports
  bool calibrates;         // runs the dense model over `calibration`
  HeadScores (*score)(const RankingInput& input);
};

// What strategies that calibrate say of the heads; only obs needs their moments. Error (usage): the
// text is too short.
CalibrationStats collect_head_stats(const RankingInput& input, bool moments);

std::span<const RankingStrategy> ranking_strategies();
// Error (usage) that lists the names when there is none of this name.
const RankingStrategy& find_ranking_strategy(std::string_view name);

struct HeadRanking {
  std::string strategy, definition;
  HeadScores scores;
  std::vector<HeadId> order;  // every head once, the first to be removed in front
};

// Error (usage) if the strategy calibrates and there is no runner or no text; Error (runtime) if a
// score is not finite.
HeadRanking rank_heads(const RankingStrategy& strategy, const RankingInput& input);

// Ascending scores; equal scores in (layer, head) order.
std::vector<HeadId> removal_order(const HeadScores& scores);

// floor(total * percent / 100). Error (usage) for a percentage outside 0..100.
int removal_count(int total_heads, int percent);

// The first removal_count() heads of the order, sorted by (layer, head).
std::vector<HeadId> heads_to_remove(const HeadRanking& ranking, int percent);

// One function per strategy; rank_heads() is the way to call them.
HeadScores score_random(const RankingInput& input);
HeadScores score_magnitude(const RankingInput& input);
HeadScores score_output(const RankingInput& input);
HeadScores score_entropy(const RankingInput& input);
HeadScores score_ablation(const RankingInput& input);
HeadScores score_obs(const RankingInput& input);

}  // namespace sentinel
