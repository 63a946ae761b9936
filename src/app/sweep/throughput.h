// The throughput test: several prompts, each alone, on the optimized model at 30 % pruning.
#pragma once

#include <string>
#include <vector>

#include "app/sweep/cells.h"
#include "app/sweep/prompts.h"

namespace sentinel {

inline constexpr int kThroughputPrompts = 5;
inline constexpr int kThroughputTokens = 100;
inline constexpr int kThroughputPruning = 30;  // percent of all heads
inline constexpr int kThroughputMinRounds = 3;

// Each prompt in `batch` equal sequences, `cell`'s model for all; rounds visit the prompts in turn.
// `results` keeps what was timed when Error (interrupted) is thrown; what it holds already is not
// timed again.
void time_throughput(const CellContext& context, const Cell& cell,
                     const std::vector<Prompt>& prompts, int batch, int warmup, int iterations,
                     const CellProgress& progress, std::vector<ThroughputResult>& results);

}  // namespace sentinel
