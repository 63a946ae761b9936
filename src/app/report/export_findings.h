// What a report says besides its tables: environment, recommendation, notes, commands.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/report/result_file.h"

namespace sentinel {

// (name, value); the names of the old report first: Device, CPU Cores, Memory (GB), GPU ...
std::vector<std::pair<std::string, std::string>> environment_rows(const ResultFile& file);

struct Finding {
  std::string title;    // "fastest"
  std::string choice;   // "original at 70 % pruning, level 1"
  std::string figures;  // speed and cost
  std::string reason;
};
// The fastest optimisation level, and the fastest pruning level of the optimized model: which
// others are as fast within the noise, and whether it is not advised for what it costs. Empty:
// not measured.
std::optional<Finding> best_level(const ResultFile& file);
std::optional<Finding> best_pruning(const ResultFile& file);
// The recommendation that the run computed, and those two.
std::vector<Finding> findings(const ResultFile& file);

// What a reader has to know about these figures.
std::vector<std::string> notes(const ResultFile& file);

// `sentinel profile` with the flags of the run, to paste into a shell; empty without them.
std::string profile_command(const nlohmann::json& args);
std::string export_command(const ResultFile& file);

// Local time, "2026-01-31 12:00:00".
std::string local_time(double seconds_since_1970);

}  // namespace sentinel
