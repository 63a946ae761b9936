// Recordings of single operations as JSON, and as the table that `profile_data` holds.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "app/report/profile_result.h"

namespace sentinel {

// component_times, avg_times, total_times, percentages, ... of section component_breakdown;
// `operations` too if `details`.
nlohmann::json operations_json(const OperationProfile& profile, bool details);
// Its inverse, for resumed runs; nullopt where the object holds no recording.
std::optional<OperationProfile> read_operations(const nlohmann::json& object);

// {attention_time, baseline_time, ffn_time, total_time}, seconds of a generation, as the old tool.
nlohmann::json model_stats_json(const OperationProfile& profile);

// Times of every operation of every layer, aligned for a terminal.
std::string operations_text(const OperationProfile& profile);

// Mean share of a component's time or bytes, 0..100; NaN where nothing was recorded.
double time_percent(const OperationProfile& profile, const std::string& component);
double bytes_percent(const OperationProfile& profile, const std::string& component);
// What recording cost, percent of the generation; NaN where it was not measured.
double overhead_percent(const OperationProfile& profile);

}  // namespace sentinel
