// What a pruning removes, and why: a readable JSON file that can be replayed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "app/prune/ranking.h"
#include "app/prune/recovery.h"
#include "model/config.h"

namespace sentinel {

// Indices among the heads and neurons that the source model has, ascending.
struct LayerCut {
  std::vector<int> heads;
  std::vector<int> neurons;
};

// One decision of a search, in order.
struct PruneStep {
  std::string kind;  // "heads", "neurons"
  int layer = 0;
  int count = 0;             // heads or neurons removed by it
  int head = -1;             // the head
  std::vector<int> neurons;  // or the neurons; not in the file
  double loss = 0;           // nats per token on the search windows afterwards
};

// A choice of heads that was tried before a refit: nats per token on held-out windows.
struct HeadTrial {
  static constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();
  std::string order = {};  // "ablation", "output", "search"
  // Of a recovery on a part of the calibration text; NaN where there was nothing to compare.
  double loss_before = kNotMeasured, loss_after = kNotMeasured;
};

struct PrunePlan {
  std::string model_sha256;
  std::string strategy, ffn_strategy, recover;
  double heads_percent = 0, ffn_percent = 0;  // asked for
  int round_to = 16;
  double min_ridge = kMinRidge;
  bool protect_first = false;
  uint64_t seed = 0;
  std::string calibration_sha256;
  int64_t calibration_tokens = 0;
  double dense_loss = 0;         // on the search windows; 0 without a search
  std::vector<LayerCut> layers;  // [n_layers]
  HeadScores head_scores;        // of the strategy, or of head_choice; empty for a search
  std::string head_choice;       // before a refit: the trial that was taken; else empty
  std::vector<HeadTrial> head_trials;
  std::vector<PruneStep> head_steps;  // how the search among the trials came to its heads
  std::vector<PruneStep> steps;       // of a search
  std::string history;                // a replayed plan: the JSON of the fields above it came with

  int heads_removed() const;
  int64_t neurons_removed() const;
  // What the search had removed after its first `n` steps.
  PrunePlan first_steps(size_t n) const;
};

nlohmann::json to_json(const PrunePlan& plan, const ModelConfig& config);
// Error (bad_input): not a plan, or one for another model.
PrunePlan read_plan(const std::filesystem::path& path, const ModelConfig& config,
                    const std::string& model_sha256);

}  // namespace sentinel
