// Which heads go where a refit follows. A refit gives back most of what heads leave behind, which
// changes what counts: the heads whose removal alone raises the loss least are often a better
// choice than those of a search that goes step by step (docs/pruning.md).
#pragma once

#include <functional>
#include <memory>

#include "app/prune/loss_meter.h"
#include "app/prune/ranking.h"
#include "app/prune/recovery.h"

namespace sentinel {

struct HeadLossOptions {
  LossMeterOptions meter;
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(int done)> progress;
  // Changes the attention of a layer that has just lost the head; may be empty.
  std::function<void(int layer, int head, EditableLayer& without)> edit;
};

// Loss (nats per token) of the dense model without each head, one at a time, beyond its own.
// Error (interrupted).
HeadScores losses_without_heads(std::shared_ptr<const Checkpoint> checkpoint,
                                const TokenWindows& windows, SublayerRunner& runner,
                                const HeadLossOptions& options = {});

// [n_layers] heads that go, ascending.
using RemovedHeads = std::vector<std::vector<int>>;

struct HeadChoiceOptions {
  int count = 0;              // heads that go
  int64_t search_tokens = 0;  // that each loss is measured on; 0: by the model's size
  RecoveryOptions recovery;   // the one that follows
  // The choice of a search, asked for where it can be compared. May be empty.
  std::function<RemovedHeads()> search;
};

struct HeadChoice {
  RemovedHeads heads;
  HeadScores scores;  // the order that they are first in; empty: the search's
};

struct HeadChoiceProgress {
  bool comparing = false;  // else measuring heads
  int done = 0, total = 0;
};

// Losses are measured on held-out and on other windows. Where comparing is affordable, the heads
// that each of these orders, their mean and the search would remove are compared by their losses on
// held-out windows, after recovery on a part of the calibration text. Among those that are as good,
// it takes the ones with the lowest loss before recovery: they lean least on what a refit learns
// from that text.
HeadChoice choose_heads(std::shared_ptr<const Checkpoint> checkpoint,
                        const CalibrationSet& calibration, const HeadChoiceOptions& options,
                        SublayerRunner& runner,
                        const std::function<void(const HeadChoiceProgress&)>& progress = nullptr);

// The `count` first heads of the scores' order, ascending in each layer.
RemovedHeads lowest_heads(const HeadScores& scores, int count);

}  // namespace sentinel
