// For tests: result files of both systems, and one whose every text is hostile.
#pragma once

#include <string>

#include "app/report/result_file.h"

namespace sentinel::testing {

// `root` is the repository's.
inline ResultFile python_result(const std::string& root) {
  return load_result_file(root + "/tests/data/python_result.json");
}
inline ResultFile full_result(const std::string& root) {
  return load_result_file(root + "/tests/data/full_result.json");
}

// Breaks CSV, Markdown, HTML, SVG and shells that do not escape.
inline const std::string kHostile =
    "</script><b onload=\"x\">&amp; | `a` $(rm) 'q', \"d\"\n=1+1 \x01 ]]> <!-- \xEF\xBF\xBF";

inline ResultFile hostile_result() {
  const nlohmann::json run = {
      {"tokens_per_second", 10.5}, {"avg_generation_time", 1.5},
      {"first_token_time", 0.1},   {"generation_times", {1.4, 1.5, 1.6}},
      {"perplexity", 40.0},        {"step_ms", {{"p50", 1.0}, {"p90", 2.0}, {"p99", 3.0}}}};
  return read_result(
      {{"environment", {{"device", kHostile}, {"cpu_model", kHostile}}},
       {"args", {{"model_name", kHostile}, {kHostile, "x"}}},
       {"integration_tests", {{kHostile, {{"0", run}}}}},
       {"throughput_test", {{"prompt_0", {{"prompt", kHostile}, {"tokens_per_second", 2}}}}},
       {"component_breakdown", {{"original", {{"percentages", {{kHostile, 100}}}}}}},
       {"multi_model_comparison", {{kHostile, {{"model_family", kHostile}, {"inference", run}}}}},
       {"pruning_comparison", {{"original", {{"0", run}}}}},
       {"pruning_strategy", {{"name", kHostile}, {"scores", {{1.0, 2.0}}}}},
       {"memory", {{kHostile, 1.0}}}},
      kHostile);
}

}  // namespace sentinel::testing
