// How far a sub-layer goes from the weights that it has to their refit. The squared error of the
// stream tells the direction; the loss on held-out windows tells how far: all the way lowers the
// squared error most, but not always the loss.
#pragma once

#include <vector>

#include "app/prune/loss_meter.h"
#include "app/prune/moments.h"

namespace sentinel {

// The part of EditableLayer that a refit changes: Wo or W_down and its bias.
LinearMap output_map(const EditableLayer& layer, SublayerKind kind);
void set_output_map(EditableLayer& layer, SublayerKind kind, LinearMap map);

class StepSearch {
 public:
  // `model` is pruned and not refitted yet; it outlives this object, which sees every change of it.
  // Of the windows as many tokens are taken as the compute budget allows, from all over the text.
  StepSearch(EditableModel& model, const TokenWindows& held_out, SublayerRunner& runner,
             LossMeterOptions options);

  // Moves the sub-layer towards `refit` by the step, 0 to 1, that leaves the lowest loss among
  // those measured: never a higher one than before.
  void take(int index, LinearMap refit);
  // The same from the step that it has taken, if it has one: what lies behind it has changed since.
  // Does nothing where the model is so large that the first look has taken the whole budget.
  void revise(int index);

  double step(int index) const { return steps_[index]; }
  double loss() const { return meter_.loss(); }

 private:
  struct Point {
    double step, loss;
  };
  Point measure(int index, double step);
  EditableLayer at(int index, double step) const;
  Point lowest(int index, Point known, double reach);
  void go(int index, Point known, double reach);

  EditableModel& model_;
  const int64_t affordable_tokens_;  // of one measurement
  LossMeter meter_;
  std::vector<LinearMap> from_, refits_;  // [2 * n_layers]; empty where nothing is refitted
  std::vector<double> steps_;
};

}  // namespace sentinel
