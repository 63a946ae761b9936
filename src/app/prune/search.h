// Which heads and neurons go, chosen by measured loss: the candidates of every layer come from
// optimal removal, the choice between layers from the loss with the candidate gone.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/prune/calibration.h"
#include "app/prune/ffn_path.h"
#include "app/prune/prune_plan.h"
#include "app/prune/recovery.h"

namespace sentinel {

struct SearchOptions {
  int heads = 0;           // how many to remove at most
  int64_t neurons = 0;     // at most; a multiple of round_to unless it is all
  int round_to = 16;
  Recover recover = Recover::refit;
  bool protect_first = false;
  double ridge = 1e-3;     // of the refits during the search
  int candidates = 1;      // heads per layer whose loss is measured at each step
  int heads_per_round = 0; // removed between two refits on fresh inputs; 0: a tenth
  int64_t search_tokens = 0;  // that the loss is measured on; 0: by the model's size
  const std::atomic<bool>* cancel = nullptr;
};

// Asked before every step whether the model, with the loss it has, is small enough or too bad.
enum class Verdict { go_on, stop, undo_and_stop };
using StopRule = std::function<Verdict(const EditableModel& model, double loss, double dense_loss)>;

struct SearchProgress {
  int64_t done = 0, total = 0;  // steps
  double loss = 0, dense_loss = 0;
};
using SearchCallback = std::function<void(const SearchProgress&)>;

struct SearchOutcome {
  std::vector<LayerCut> cuts;  // beyond those already made in the model
  std::vector<PruneStep> steps;
  double dense_loss = 0;
  int64_t evaluations = 0;
};

// Searches from `model` on, which is left pruned and roughly refitted. `set.held_out` is what the
// loss is measured on. `stats` are those of the model as it came.
SearchOutcome search_removals(EditableModel& model, const CalibrationSet& set,
                              const CalibrationStats& stats, const SearchOptions& options,
                              SublayerRunner& runner, const StopRule& rule = nullptr,
                              const SearchCallback& progress = nullptr);

}  // namespace sentinel
