// What to run on this machine, from the measurements and their noise alone.
#pragma once

#include <vector>

#include "app/report/profile_result.h"

namespace sentinel {

// Percent of perplexity from which on a choice is not advised as it is: few would take it.
inline constexpr double kLargeLossPercent = 10;

// "fastest", "best with agency" and "best balance" among the timed runs of the result, each with
// what it costs in quality; those whose choice could not be measured are left out.
//
// Two runs whose speeds differ by no more than their noise (both intervals, and at least the A/A
// difference) count as equally fast: the one with the better quality is chosen, and the reason
// names the other. "fastest" is never slower than the other picks. The best balance is the run with
// the most speed per perplexity, speed-up / (perplexity / dense perplexity): a step down in quality
// must buy at least as large a step up in speed.
std::vector<Pick> recommend(const ProfileResult& result);

}  // namespace sentinel
