// What a recording of single operations says: where the time of one generation went.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "model/op_trace.h"

namespace sentinel {

// Seconds on thread 0, which takes part in every operation.
struct OpTime {
  double seconds = 0;  // waits for the other threads included
  double wait = 0;     // of it
  int64_t count = 0;
};

struct PhaseTimes {
  std::vector<std::array<OpTime, kOps>> layers;  // [1 + n_layers]: what is of no layer in front
  double total = 0;                              // what no operation covers included
  OpTime sum(Op op) const;                       // over all layers
};

struct OpTimes {
  PhaseTimes prefill;  // until the first token is out
  PhaseTimes decode;   // the steps after it
  int steps = 0;
  int64_t dropped = 0;  // events that did not fit: the times are of the beginning only
};

// `trace` holds one generation.
OpTimes op_times(const OpTrace& trace, int n_layers);

// The recording in Chrome's trace format, which Perfetto and chrome://tracing open: one complete
// event ("X") per operation, one track per thread, properly nested.
std::string chrome_trace(const OpTrace& trace, const std::string& title);

}  // namespace sentinel
