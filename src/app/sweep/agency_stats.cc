#include "app/sweep/agency_stats.h"

#include <nlohmann/json.hpp>

#include "model/agency/report.h"

namespace sentinel {
namespace {

using nlohmann::json;

json violation_json(const Violation& violation) {
  return {{"head_idx", violation.head_idx},
          {"layer_idx", violation.layer_idx},
          {"violation_type", violation.violation_type},
          {"step", violation.step},
          {"gate_value", violation.gate_value},
          {"state", to_string(violation.state)},
          {"timestamp", violation.timestamp}};
}

json layer_json(const LayerReport& layer) {
  json recent = json::array();
  for (const Violation& violation : layer.recent_violations) {
    recent.push_back(violation_json(violation));
  }
  return {{"active_heads", layer.active_heads},
          {"overloaded_heads", layer.overloaded_heads},
          {"misaligned_heads", layer.misaligned_heads},
          {"withdrawn_heads", layer.withdrawn_heads},
          {"withdrawn_head_indices", layer.withdrawn_head_indices},
          {"utilization", layer.utilization},
          {"violation_count", layer.violation_count},
          {"recent_violations", recent}};
}

}  // namespace

json agency_stats(const HeadTable& heads) {
  const AgencyReport report = agency_report(heads);
  json layers = json::object();
  for (const LayerReport& layer : report.layer_reports) {
    layers[std::to_string(layer.layer)] = layer_json(layer);
  }
  return {{"layer_reports", layers},
          {"total_violations", report.total_violations},
          {"num_layers", report.num_layers},
          {"step", report.step}};
}

}  // namespace sentinel
