// What the head table says, as one report: numbers, JSON, and a table to read.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "model/agency/head_table.h"

namespace sentinel {

// The heads of one layer, counted by state alone: a closed gate does not count as withdrawn.
struct LayerReport {
  int layer = 0;
  int active_heads = 0, overloaded_heads = 0, misaligned_heads = 0, withdrawn_heads = 0;
  std::vector<int> withdrawn_head_indices;
  std::vector<double> utilization;           // [heads of the layer]
  std::vector<HeadStatus> heads;             // [heads of the layer]
  std::vector<double> factors;               // [heads of the layer] what multiplies the context
  int64_t violation_count = 0;               // since the model was loaded
  std::vector<Violation> recent_violations;  // the last 5, newest at the end
};

struct AgencyReport {
  std::vector<LayerReport> layer_reports;  // [num_layers]
  int64_t total_violations = 0;
  int num_layers = 0;
  int64_t step = 0;      // decode steps and prefill chunks so far
  int heads_active = 0;  // those that contribute: consent, not withdrawn, gate above 0
  AgencyOptions options;
  bool automatic = false;
};

AgencyReport agency_report(const HeadTable& heads);
// Keys as the fields; layer_reports is an object keyed by the layer.
nlohmann::json to_json(const AgencyReport& report);
// One line per head that is not simply active, after one line per layer.
std::string to_text(const AgencyReport& report);

// Per layer the heads whose gate is above `threshold`, whatever their state.
std::vector<std::vector<int>> gate_activity(const HeadTable& heads, float threshold = 0.2F);

}  // namespace sentinel
