#include "app/sweep/agency_stats.h"

#include <nlohmann/json.hpp>

namespace sentinel {
namespace {

using nlohmann::json;

constexpr size_t kRecent = 5;

json layer_report(const HeadTable& heads, int layer) {
  int counts[4] = {};
  json withdrawn = json::array(), utilization = json::array();
  for (int head = 0; head < heads.n_heads(layer); ++head) {
    const HeadStatus& status = heads.status({layer, head});
    ++counts[static_cast<int>(status.state)];
    if (status.state == HeadState::withdrawn) withdrawn.push_back(head);
    utilization.push_back(status.utilization);
  }
  const auto count = [&](HeadState state) { return counts[static_cast<int>(state)]; };
  int64_t violations = 0;
  json recent = json::array();
  for (const Violation& v : heads.recent_violations()) {
    if (v.layer_idx != layer) continue;
    ++violations;
    recent.push_back({{"head_idx", v.head_idx},
                      {"layer_idx", v.layer_idx},
                      {"violation_type", v.violation_type},
                      {"step", v.step},
                      {"gate_value", v.gate_value},
                      {"state", to_string(v.state)},
                      {"timestamp", v.timestamp}});
    if (recent.size() > kRecent) recent.erase(recent.begin());
  }
  return {{"active_heads", count(HeadState::active)},
          {"overloaded_heads", count(HeadState::overloaded)},
          {"misaligned_heads", count(HeadState::misaligned)},
          {"withdrawn_heads", count(HeadState::withdrawn)},
          {"withdrawn_head_indices", withdrawn},
          {"utilization", utilization},
          {"violation_count", violations},
          {"recent_violations", recent}};
}

}  // namespace

json agency_stats(const HeadTable& heads) {
  json layers = json::object();
  for (int layer = 0; layer < heads.n_layers(); ++layer) {
    layers[std::to_string(layer)] = layer_report(heads, layer);
  }
  return {{"layer_reports", layers},
          {"total_violations", heads.violation_count()},
          {"num_layers", heads.n_layers()},
          {"step", heads.step()}};
}

}  // namespace sentinel
