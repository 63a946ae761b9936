// A controller closes and opens gates while a model writes, by what it measures, towards a goal.
//
// It closes the heads that add least, and opens only what it closed itself, in the opposite order.
// Heads that are withdrawn, have no consent or were removed are never touched.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sentinel/agency.h"

namespace sentinel {

struct ControllerOptions {
  // "speed": no more heads are closed than tokens_per_second needs, and none beyond
  // max_perplexity_increase where that is given too. "quality": as many are closed as
  // max_perplexity_increase allows. Empty: "speed" if tokens_per_second is given.
  std::string goal = {};
  std::optional<double> tokens_per_second = {};  // of decoding, at least
  // Percent, on `text`, by the controller's moves.
  std::optional<double> max_perplexity_increase = {};
  std::string text = {};  // scored before the first token; without one, tracked norms choose heads
  int max_windows = 4;    // of that text, in windows of the model's context; 0: all
  int interval = 16;      // tokens from one decision to the next, their median time decides
  double margin = 0.05;   // heads open only where the speed stays above its goal by half of this
  double max_heads_closed = 50;  // percent of all heads
};

// A change of a gate, or (gate_before == gate_after) one that was measured and not made.
struct ControllerMove {
  int64_t token = 0;  // new tokens written before it, since the controller was set
  HeadId head;
  double gate_before = 1, gate_after = 0;
  std::string goal;    // "speed", "quality"
  std::string signal;  // what was measured: "tokens_per_second", "perplexity_increase"
  double value = 0;    // of the signal; perplexity increase in percent
  std::string reason;
};

struct ControllerReport {
  std::string goal;
  std::vector<ControllerMove> moves;
  int heads_closed = 0;          // by the controller, now
  double tokens_per_second = 0;  // median of the last whole interval; 0: none yet
  // Of the text: without and with the controller's moves; 0: not measured.
  double perplexity_before = 0, perplexity_after = 0;
  int64_t tokens_scored = 0;     // of the text, each time
  int evaluations = 0;           // of the text
  double seconds = 0;            // spent on them
  std::optional<bool> goal_met;  // by the last measurement; empty: nothing was measured yet
};

}  // namespace sentinel
