#include "model/agency/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace sentinel {
namespace {

using nlohmann::json;

constexpr size_t kRecent = 5;

LayerReport layer_report(const HeadTable& heads, int layer,
                         const std::vector<Violation>& violations) {
  LayerReport report;
  report.layer = layer;
  int* const counts[] = {&report.active_heads, &report.overloaded_heads, &report.misaligned_heads,
                         &report.withdrawn_heads};
  for (int head = 0; head < heads.n_heads(layer); ++head) {
    const HeadStatus& status = heads.status({layer, head});
    ++*counts[static_cast<int>(status.state)];
    if (status.state == HeadState::withdrawn) report.withdrawn_head_indices.push_back(head);
    report.utilization.push_back(status.utilization);
    report.heads.push_back(status);
    report.factors.push_back(heads.factor({layer, head}));
  }
  report.violation_count = heads.violation_count(layer);
  for (const Violation& violation : violations) {
    if (violation.layer_idx != layer) continue;
    if (report.recent_violations.size() == kRecent) {
      report.recent_violations.erase(report.recent_violations.begin());
    }
    report.recent_violations.push_back(violation);
  }
  return report;
}

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
  json recent = json::array(), heads = json::array();
  for (const Violation& violation : layer.recent_violations) {
    recent.push_back(violation_json(violation));
  }
  for (size_t h = 0; h < layer.heads.size(); ++h) {
    const HeadStatus& head = layer.heads[h];
    heads.push_back({{"state", to_string(head.state)},
                     {"gate", head.gate},
                     {"consent", head.consent},
                     {"factor", layer.factors[h]},
                     {"utilization", head.utilization},
                     {"alignment_score", head.alignment},
                     {"last_signal", head.last_signal},
                     {"removed", head.removed}});
  }
  return {{"active_heads", layer.active_heads},
          {"overloaded_heads", layer.overloaded_heads},
          {"misaligned_heads", layer.misaligned_heads},
          {"withdrawn_heads", layer.withdrawn_heads},
          {"withdrawn_head_indices", layer.withdrawn_head_indices},
          {"utilization", layer.utilization},
          {"heads", heads},
          {"violation_count", layer.violation_count},
          {"recent_violations", recent}};
}

bool is_plain(const HeadStatus& head) {
  return head.state == HeadState::active && head.gate == 1 && head.consent && !head.removed;
}

}  // namespace

AgencyReport agency_report(const HeadTable& heads) {
  AgencyReport report;
  const std::vector<Violation> violations = heads.recent_violations();
  for (int layer = 0; layer < heads.n_layers(); ++layer) {
    report.layer_reports.push_back(layer_report(heads, layer, violations));
  }
  report.total_violations = heads.violation_count();
  report.num_layers = heads.n_layers();
  report.step = heads.step();
  report.heads_active = heads.active_count();
  report.options = heads.options();
  report.automatic = heads.automatic();
  return report;
}

void report_points(const IntegrationSet* set, AgencyReport& report) {
  if (!set) return;
  const int n_layers = static_cast<int>(set->size());
  for (int l = 0; l < n_layers; ++l) {
    const FeatureMix& skip = (*set)[static_cast<size_t>(l)].skip;
    const FeatureMix& baseline = (*set)[static_cast<size_t>(l)].baseline;
    double take = 0, share = 0;
    for (const float t : skip.take) take += t / static_cast<double>(skip.take.size());
    for (size_t i = 0; i < baseline.take.size(); ++i) {
      const double from = std::fabs(baseline.take[i]), all = from + std::fabs(baseline.keep[i]);
      if (all > 0) share += from / all / static_cast<double>(baseline.take.size());
    }
    if (!skip.empty()) report.unet_connections[l] = {skip_source(n_layers, l), take};
    if (!baseline.empty()) report.baseline_integration[l] = share;
  }
}

namespace {

json stats_json(const PerformanceStats& stats) {
  return {{"attention_time", stats.attention_time},
          {"baseline_time", stats.baseline_time},
          {"ffn_time", stats.ffn_time},
          {"total_time", stats.total_time},
          {"attention_percentage", stats.attention_percentage},
          {"baseline_percentage", stats.baseline_percentage},
          {"ffn_percentage", stats.ffn_percentage}};
}

}  // namespace

json to_json(const AgencyReport& report) {
  json unet = json::object(), baseline = json::object();
  for (const auto& [layer, skip] : report.unet_connections) {
    unet[std::to_string(layer)] = {{"source", skip.source}, {"scale", skip.scale}};
  }
  for (const auto& [layer, share] : report.baseline_integration) {
    baseline[std::to_string(layer)] = share;
  }
  json layers = json::object();
  for (const LayerReport& layer : report.layer_reports) {
    layers[std::to_string(layer.layer)] = layer_json(layer);
  }
  json document = {{"layer_reports", layers},
                   {"total_violations", report.total_violations},
                   {"num_layers", report.num_layers},
                   {"step", report.step},
                   {"heads_active", report.heads_active},
                   {"automatic", report.automatic},
                   {"unet_connections", unet},
                   {"baseline_integration", baseline},
                   {"overload_threshold", report.options.overload_threshold},
                   {"alignment_threshold", report.options.alignment_threshold},
                   {"recovery_period", report.options.recovery_period}};
  if (report.performance_stats) {
    document["performance_stats"] = stats_json(*report.performance_stats);
  }
  return document;
}

std::string to_text(const AgencyReport& report) {
  std::string out = fmt::format(
      "layer  active  overloaded  misaligned  withdrawn  utilization  "
      "violations\n");
  std::string heads;
  for (const LayerReport& layer : report.layer_reports) {
    double sum = 0;
    for (const double u : layer.utilization) sum += u;
    const auto n = static_cast<double>(std::max<size_t>(1, layer.utilization.size()));
    out += fmt::format("{:>5}  {:>6}  {:>10}  {:>10}  {:>9}  {:>11.3f}  {:>10}\n", layer.layer,
                       layer.active_heads, layer.overloaded_heads, layer.misaligned_heads,
                       layer.withdrawn_heads, sum / n, layer.violation_count);
    for (size_t h = 0; h < layer.heads.size(); ++h) {
      const HeadStatus& head = layer.heads[h];
      if (is_plain(head)) continue;
      heads += fmt::format(
          "{:>5}  {:>4}  {:<10}  {:>5.2f}  {:<7}  {:>6.2f}  {:>11.3f}  {:>9.2f}{}\n", layer.layer,
          h, to_string(head.state), head.gate, head.consent ? "yes" : "no", layer.factors[h],
          head.utilization, head.alignment, head.removed ? "  removed from memory" : "");
    }
  }
  out += fmt::format("{} heads contribute, step {}, {} violations\n", report.heads_active,
                     report.step, report.total_violations);
  if (report.performance_stats) {
    const PerformanceStats& s = *report.performance_stats;
    out += fmt::format(
        "{:.3f} s in the model: attention {:.1f} %, feed-forward {:.1f} %, baseline {:.1f} %\n",
        s.total_time, s.attention_percentage, s.ffn_percentage, s.baseline_percentage);
  }
  if (heads.empty()) return out;
  return out + "layer  head  state        gate  consent  factor  utilization  alignment\n" + heads;
}

std::vector<std::vector<int>> gate_activity(const HeadTable& heads, float threshold) {
  std::vector<std::vector<int>> activity(heads.n_layers());
  for (int layer = 0; layer < heads.n_layers(); ++layer) {
    for (int head = 0; head < heads.n_heads(layer); ++head) {
      if (heads.status({layer, head}).gate > threshold) activity[layer].push_back(head);
    }
  }
  return activity;
}

}  // namespace sentinel
