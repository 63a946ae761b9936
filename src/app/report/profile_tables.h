// The profiler's tables, for the console and for summary.md.
#pragma once

#include <string>

#include "app/report/profile_result.h"
#include "app/report/text_table.h"

namespace sentinel {

TextTable loading_table(const LoadingResult& loading);
TextTable pruning_table(const ProfileResult& result);  // with the A/A row
TextTable levels_table(const ProfileResult& result);
std::string levels_note(const ProfileResult& result);  // how levels 2 and 3 keep their promises
// The same where levels were not compared: what "optimized" breaks at its level, or nothing.
std::string promise_note(const ProfileResult& result);
TextTable integration_table(const ProfileResult& result);
TextTable isas_table(const ProfileResult& result);
bool has_operations(const std::map<std::string, RunResult>& runs);
TextTable components_table(const ProfileResult& result);
// A line per variant on waiting and on what recording costs.
std::string components_note(const ProfileResult& result);
TextTable throughput_table(const ProfileResult& result);
TextTable models_table(const ProfileResult& result);
// "packed weights 29.4 MB, ..." without a line end.
std::string memory_line(const MemoryFigures& memory);
// "fastest: original at 70 % pruning (level 1): 1,234 tokens/s, 1.50x (± 2.0 %); costs ..."
std::string describe(const Pick& pick);
// What the A/A row says about small differences, and what disturbed the timing.
std::string noise_note(const ProfileResult& result);

// Everything that the command prints, tables and recommendation.
std::string console_report(const ProfileResult& result);

}  // namespace sentinel
