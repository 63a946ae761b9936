// What the head table says, as one report: numbers, JSON, and a table to read.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "model/agency/head_table.h"
#include "model/integration/weights.h"

namespace sentinel {

AgencyReport agency_report(const HeadTable& heads);
// Adds the integration points that run; null: none.
void report_points(const IntegrationSet* set, AgencyReport& report);
// Keys as the fields; layer_reports is an object keyed by the layer.
nlohmann::json to_json(const AgencyReport& report);
// One line per head that is not simply active, after one line per layer.
std::string to_text(const AgencyReport& report);

// Per layer the heads whose gate is above `threshold`, whatever their state.
std::vector<std::vector<int>> gate_activity(const HeadTable& heads, float threshold = 0.2F);

}  // namespace sentinel
