#include "model/agency/report.h"

namespace sentinel {
namespace {

constexpr size_t kRecent = 5;

LayerReport layer_report(const HeadTable& heads, int layer) {
  LayerReport report;
  report.layer = layer;
  int* const counts[] = {&report.active_heads, &report.overloaded_heads, &report.misaligned_heads,
                         &report.withdrawn_heads};
  for (int head = 0; head < heads.n_heads(layer); ++head) {
    const HeadStatus& status = heads.status({layer, head});
    ++*counts[static_cast<int>(status.state)];
    if (status.state == HeadState::withdrawn) report.withdrawn_head_indices.push_back(head);
    report.utilization.push_back(status.utilization);
  }
  report.violation_count = heads.violation_count(layer);
  for (const Violation& violation : heads.recent_violations()) {
    if (violation.layer_idx != layer) continue;
    if (report.recent_violations.size() == kRecent) {
      report.recent_violations.erase(report.recent_violations.begin());
    }
    report.recent_violations.push_back(violation);
  }
  return report;
}

}  // namespace

AgencyReport agency_report(const HeadTable& heads) {
  AgencyReport report;
  for (int layer = 0; layer < heads.n_layers(); ++layer) {
    report.layer_reports.push_back(layer_report(heads, layer));
  }
  report.total_violations = heads.violation_count();
  report.num_layers = heads.n_layers();
  report.step = heads.step();
  report.heads_active = heads.active_count();
  return report;
}

}  // namespace sentinel
