// Recordings of single operations: where the time and the bytes of a cell's generations go.
#pragma once

#include <functional>
#include <string>

#include "app/sweep/cells.h"

namespace sentinel {

inline constexpr int kComponentPruning = 30;  // percent, of the optimized variant; as the old tool

// A finished recording: a file for a trace viewer.
using TraceSink = std::function<void(const Cell& cell, const std::string& chrome_trace)>;

// `rounds` recorded generations of every cell, in turn, into cell.run.operations; the last one of
// each goes to `sink` (may be null). A cell that was timed has its overhead from that.
void profile_operations(const CellContext& context, const std::vector<Cell*>& cells, int rounds,
                        const CellProgress& progress, const TraceSink& sink);

}  // namespace sentinel
