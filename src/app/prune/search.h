// Which heads and neurons go, chosen by measured loss: every head is a candidate, and the next step
// of every layer's FFN path. Each step takes the one whose removal leaves the lowest loss. Losses
// mostly grow as others go, so few candidates are measured again: those whose last values would
// win.
#pragma once

#include <atomic>
#include <functional>
#include <span>
#include <vector>

#include "app/prune/calibration.h"
#include "app/prune/prune_plan.h"
#include "app/prune/recovery.h"

namespace sentinel {

struct SearchOptions {
  int heads = 0;        // how many to remove at most
  int64_t neurons = 0;  // at most; a multiple of round_to unless it is all
  int round_to = 16;
  Recover recover = Recover::refit;
  bool protect_first = false;
  int64_t search_tokens = 0;  // that the loss is measured on; 0: by the model's size
  const std::atomic<bool>* cancel = nullptr;
};

// Asked after every step whether the model, with the loss it has, is small enough or too bad.
enum class Verdict { go_on, stop, undo_and_stop };
using StopRule = std::function<Verdict(const EditableModel& model, double loss, double dense_loss)>;

struct SearchProgress {
  int64_t done = 0, total = 0;  // steps
  double loss = 0, dense_loss = 0;
};
using SearchCallback = std::function<void(const SearchProgress&)>;

struct SearchOutcome {
  std::vector<LayerCut> cuts;  // all that is gone from the source model
  std::vector<PruneStep> steps;
  double dense_loss = 0;
};

// Searches from `model` on, from which no neurons may be cut yet, and which is left pruned; the
// loss is measured on held-out windows. `stats` are those of the model as it came.
SearchOutcome search_removals(EditableModel& model, const CalibrationSet& calibration,
                              const CalibrationStats& stats, const SearchOptions& options,
                              SublayerRunner& runner, const StopRule& rule = nullptr,
                              const SearchCallback& progress = nullptr);

}  // namespace sentinel
