// Losses without single heads, and which heads go where a refit follows. A refit gives back most of
// what heads leave behind, which changes what counts: the heads whose removal alone raises the loss
// least are often a better choice than those of a search that goes step by step (docs/pruning.md).
#pragma once

#include <functional>
#include <memory>

#include "app/prune/loss_meter.h"
#include "app/prune/prune_plan.h"
#include "app/prune/ranking.h"
#include "app/prune/recovery.h"

namespace sentinel {

struct HeadLossOptions {
  LossMeterOptions meter;
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

// Which of the choices to take, by their losses on held-out windows after a recovery on a part of
// the calibration text. Among those that are as good, the one with the lowest loss before recovery:
// it leans least on what a refit learns from that text. `choices`: at least one. `trials`
// [choices] gets the losses; where all choices are the same heads nothing is measured.
size_t best_removal(std::shared_ptr<const Checkpoint> checkpoint, const CalibrationSet& calibration,
                    const std::vector<RemovedHeads>& choices, const RecoveryOptions& recovery,
                    SublayerRunner& runner, std::vector<HeadTrial>& trials,
                    const std::function<void(int done, int total)>& progress = nullptr);

// The tokens to measure the loss without each head on, so that all of it takes about a minute of
// two cores: fewer for large models. Fewer than kHeadLossTokens: searches and comparisons of
// choices are too dear for this model, too.
constexpr int64_t kHeadLossTokens = 8192;
int64_t head_loss_tokens(const ModelConfig& config, std::span<const int32_t> vocabulary);

// The `count` first heads of the scores' order, ascending in each layer.
RemovedHeads lowest_heads(const HeadScores& scores, int count);

}  // namespace sentinel
