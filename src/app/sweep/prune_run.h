// `sentinel prune`: from files to a smaller checkpoint, with what it cost and what it brought.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "app/eval/eval.h"
#include "app/prune/integration_fit.h"
#include "app/prune/prune.h"
#include "model/model.h"

namespace sentinel {

struct PruneRunOptions {
  std::shared_ptr<const Checkpoint> checkpoint;
  PruneOptions prune;  // its plan, stop_rule, recover and protect_first are set from what follows
  std::optional<Recover> recover;           // empty: as the plan says; without one refit
  std::optional<double> min_ridge;          // empty: as the plan says; without one kMinRidge
  std::optional<bool> protect_first;        // empty: as the plan says; without one no
  std::filesystem::path calibration;        // text; needed unless nothing calibrates
  std::filesystem::path text;               // to evaluate on
  std::filesystem::path out;                // folder to make; empty only for a dry run
  std::filesystem::path plan;               // to replay; empty: make one
  std::filesystem::path stats, save_stats;  // folders; may be empty
  bool padded = false, dry_run = false;
  bool fit_integration = false;  // and save the weights of the integration points beside the model
  std::optional<DType> dtype;    // of the saved weights; empty: as the source
  std::optional<int64_t> target_params;
  std::optional<double> target_speedup;           // of decoding
  std::optional<double> max_perplexity_increase;  // percent, on held-out calibration windows
  int max_eval_windows = 60;                      // 0: all
  bool bench = true;                              // measure speed before and after
  ModelOptions model;                             // that before and after are measured with
  const std::atomic<bool>* cancel = nullptr;
};

struct PruneSide {
  int64_t parameters = 0, weight_bytes = 0, bytes_per_token = 0;
  std::vector<int> heads_per_layer, ffn_per_layer;
  std::optional<double> decode_tokens_per_second, prefill_tokens_per_second;
  double perplexity = 0;
  std::optional<double> perplexity_protected;  // with position 0 from the unpruned model
};

// What a level holds the layers' weights in, and what that costs beside f32.
struct LevelWeights {
  int level = 0;
  WeightType type = WeightType::f32;
  double growth_percent = 0;         // of perplexity
  double preset_growth_percent = 0;  // with the level's own type; the same where that is taken
};

// Why the level's own type was not taken: beyond what the level promises, or near it, as another
// text may be beyond.
const char* why_widened(const LevelWeights& level);

struct PruneRunResult {
  PruneSide before, after;  // after: zeros where nothing was pruned
  std::optional<Divergence> divergence;
  PrunePlan plan;
  ModelConfig config;  // of the source
  std::vector<SublayerLoss> losses;
  std::string text_sha256;
  bool same_text = false;  // the evaluation text is the calibration text
  int64_t tokens_scored = 0;
  int window = 0;
  std::vector<IntegrationFitSet> integration;  // empty unless they were fitted
  double seconds = 0, pruning_seconds = 0;     // of everything; of planning and recovery
  double peak_rss_mb = 0;
  std::optional<double> target_speedup;  // as asked for
  bool dry_run = false;
  // The folder has the dense shape, with zeros: sizes and speeds of `after` are of the model
  // without them.
  bool padded = false;
  ModelInfo model;                   // what measured `before`
  std::vector<LevelWeights> levels;  // 2 and 3, of the written model; empty in a dry run
};

// Of decoding; empty unless both sides were measured.
std::optional<double> measured_speedup(const PruneRunResult& result);

// Nothing is written unless all succeeds. Error (usage, bad_input, runtime, interrupted).
PruneRunResult run_prune(const PruneRunOptions& options, const PruneCallback& progress);

nlohmann::json to_json(const PruneRunResult& result);

}  // namespace sentinel
