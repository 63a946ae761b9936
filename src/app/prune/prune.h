// Pruning from a checkpoint and a calibration text to a smaller model in memory.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "app/prune/calibration.h"
#include "app/prune/ffn_path.h"
#include "app/prune/prune_plan.h"
#include "app/prune/recovery.h"
#include "app/prune/search.h"

namespace sentinel {

struct PruneOptions {
  double heads = 0, ffn = 0;     // percent of the heads and neurons that the model has
  std::string strategy = "obs";  // for heads: a name of ranking_strategies()
  std::string ffn_strategy;      // empty: as `strategy` if neurons know it, else obs
  Recover recover = Recover::refit;
  double min_ridge = kMinRidge;  // RecoveryOptions::min_ridge
  int round_to = 16;             // neurons of a layer: removed in multiples of this
  bool protect_first = false;
  uint64_t seed = 0;
  int64_t calibration_tokens = 131072;  // at most, from the start of the text
  bool all_stats = false;  // collect statistics on all of them, not on as many as an order needs
  int window = 0;          // tokens; 0: the model's context
  int64_t search_tokens = 0;
  std::optional<PrunePlan> plan;  // replayed in place of strategy and percentages
  // Targets in place of percentages: the search goes on until they are met.
  StopRule stop_rule;
  std::string model_sha256;  // model_fingerprint() where it is known; empty: computed if needed
  int threads = 0;
  std::string isa;
  const std::atomic<bool>* cancel = nullptr;
};

struct PruneProgress {
  std::string stage;
  int64_t done = 0, total = 0;
};
using PruneCallback = std::function<void(const PruneProgress&)>;

struct PruneResult {
  PrunePlan plan;
  std::shared_ptr<const EditableModel> model;  // null after a dry run
  std::vector<SublayerLoss> losses;            // [2 * n_layers], empty without recovery
};

class Pruner {
 public:
  // `tokens` of the calibration text. Error (usage): numbers out of range, too few tokens.
  Pruner(std::shared_ptr<const Checkpoint> checkpoint, std::span<const int32_t> tokens,
         std::string text_sha256, const PruneOptions& options, PruneCallback progress);
  ~Pruner();

  const std::string& model_sha256();  // model_fingerprint() of the checkpoint
  // Uses these statistics in place of collecting them. Error (usage): of another model or text.
  void use_stats(CalibrationStats stats);
  const CalibrationStats& stats();  // collected when first asked for

  PrunePlan make_plan();
  // Removes what the plan says and recovers. Deterministic.
  PruneResult apply(PrunePlan plan);
  // The same with as many of a search's steps as keep the perplexity on held-out calibration
  // windows within this increase (percent): the search itself has only seen rough refits.
  PruneResult apply_within(const PrunePlan& plan, double max_increase);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sentinel
