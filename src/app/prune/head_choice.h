// Which heads go where a refit follows: those whose removal alone raises the loss least. A refit
// gives back most of what heads leave behind, and so changes what a search that goes step by step
// would have to measure: on its own it orders worse (docs/pruning.md).
#pragma once

#include <functional>
#include <memory>

#include "app/prune/loss_meter.h"
#include "app/prune/ranking.h"
#include "app/prune/recovery.h"

namespace sentinel {

// Loss (nats per token) of the dense model without each head, one at a time, beyond its own.
// Error (interrupted).
HeadScores losses_without_heads(std::shared_ptr<const Checkpoint> checkpoint,
                                const TokenWindows& windows, SublayerRunner& runner,
                                const LossMeterOptions& options, const std::atomic<bool>* cancel,
                                const std::function<void(int done)>& progress = nullptr);

struct HeadChoiceOptions {
  int count = 0;              // heads that go
  int64_t search_tokens = 0;  // that each loss is measured on; 0: by the model's size
  RecoveryOptions recovery;   // the one that follows
};

struct HeadChoiceProgress {
  bool comparing = false;  // else measuring heads
  int done = 0, total = 0;
};

// Scores whose lowest are to go. Measured on held-out and on other windows; where these
// disagree, and that is affordable, the choices of both and of their mean recover on a part of the
// calibration text, and the one of the lowest loss is taken.
HeadScores choose_heads(std::shared_ptr<const Checkpoint> checkpoint,
                        const CalibrationSet& calibration, const HeadChoiceOptions& options,
                        SublayerRunner& runner,
                        const std::function<void(const HeadChoiceProgress&)>& progress = nullptr);

// The `count` first heads of the scores' order, ascending in each layer.
std::vector<std::vector<int>> lowest_heads(const HeadScores& scores, int count);

}  // namespace sentinel
