// How much memory a recording of operations needs.
#pragma once

#include <cstdint>

#include "model/model.h"

namespace sentinel {

// Through the model, of a session that takes a prompt of so many tokens, at most.
double prompt_passes(int64_t tokens);
// Of one thread in so many passes, at most: every operation and the wait behind it. Level 0
// computes the whole sequence, up to `rows` tokens, in each and records its rows and heads one by
// one.
double trace_events(const Model& model, double passes, double rows);

}  // namespace sentinel
