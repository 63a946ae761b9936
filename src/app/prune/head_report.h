// Every head by every score, for `sentinel heads`.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "app/prune/ranking.h"

namespace sentinel {

struct HeadReport {
  struct Score {
    std::string strategy, definition;
    HeadScores scores;  // [layer][head]; the lowest is removed first
  };
  std::vector<Score> scores;
  HeadScores entropy;      // mean nats
  HeadScores utilization;  // mean of 1 - H / ln n
  int64_t tokens = 0;
  bool interrupted = false;  // then the last strategies are missing
};

// input.runner and input.calibration are needed. `progress` is told each strategy before it runs.
// Entropy and utilisation come first: what input.cancel ends before them is an Error (interrupted).
HeadReport report_heads(const RankingInput& input,
                        const std::function<void(const std::string&)>& progress);

// {scores: {strategy: [[layer x head]]}, definitions, entropy, utilization, tokens, interrupted}.
nlohmann::json to_json(const HeadReport& report);

// A heat map of one score per panel as SVG text: layers down, heads across.
std::string heatmap_svg(const HeadReport& report, const std::string& title);

}  // namespace sentinel
