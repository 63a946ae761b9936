#include <pybind11/stl.h>

#include "bindings.h"

namespace py = pybind11;

namespace sentinel::python {
namespace {

py::dict to_dict(const Violation& violation) {
  py::dict out;
  out["head_idx"] = violation.head_idx;
  out["layer_idx"] = violation.layer_idx;
  out["violation_type"] = violation.violation_type;
  out["step"] = violation.step;
  out["gate_value"] = violation.gate_value;
  out["state"] = to_string(violation.state);
  out["timestamp"] = violation.timestamp;
  return out;
}

py::dict to_dict(const HeadStatus& status) {
  py::dict out;
  out["state"] = to_string(status.state);
  out["gate"] = status.gate;
  out["consent"] = status.consent;
  out["utilization"] = status.utilization;
  out["alignment_score"] = status.alignment;
  out["last_signal"] = status.last_signal;
  out["removed"] = status.removed;
  return out;
}

py::dict to_dict(const LayerReport& layer) {
  py::list recent;
  for (const Violation& violation : layer.recent_violations) recent.append(to_dict(violation));
  py::dict out;
  out["active_heads"] = layer.active_heads;
  out["overloaded_heads"] = layer.overloaded_heads;
  out["misaligned_heads"] = layer.misaligned_heads;
  out["withdrawn_heads"] = layer.withdrawn_heads;
  out["withdrawn_head_indices"] = layer.withdrawn_head_indices;
  out["utilization"] = layer.utilization;
  out["violation_count"] = layer.violation_count;
  out["recent_violations"] = recent;
  py::list heads;
  for (size_t h = 0; h < layer.heads.size(); ++h) {
    heads.append(to_dict(layer.heads[h]));
    heads[h]["factor"] = layer.factors[h];
  }
  out["heads"] = heads;
  return out;
}

py::dict to_dict(const PerformanceStats& stats) {
  py::dict out;
  out["attention_time"] = stats.attention_time;
  out["baseline_time"] = stats.baseline_time;
  out["ffn_time"] = stats.ffn_time;
  out["total_time"] = stats.total_time;
  out["attention_percentage"] = stats.attention_percentage;
  out["baseline_percentage"] = stats.baseline_percentage;
  out["ffn_percentage"] = stats.ffn_percentage;
  return out;
}

py::dict to_dict(const ControllerMove& move) {
  py::dict out, signal;
  signal[py::str(move.signal)] = move.value;
  out["token"] = move.token;
  out["layer"] = move.head.layer;
  out["head"] = move.head.head;
  out["gate_before"] = move.gate_before;
  out["gate_after"] = move.gate_after;
  out["signal"] = signal;
  out["goal"] = move.goal;
  out["reason"] = move.reason;
  return out;
}

py::object controller_report(const AdaptiveModel& model) {
  const std::optional<ControllerReport> report = model.controller_report();
  if (!report) return py::none();
  // 0 stands for what was not measured.
  const auto measured = [](double value) -> py::object {
    return value > 0 ? py::object(py::float_(value)) : py::none();
  };
  py::list moves;
  for (const ControllerMove& move : report->moves) moves.append(to_dict(move));
  py::dict out;
  out["goal"] = report->goal;
  out["goal_met"] = report->goal_met;
  out["heads_closed"] = report->heads_closed;
  out["tokens_per_second"] = measured(report->tokens_per_second);
  out["perplexity_before"] = measured(report->perplexity_before);
  out["perplexity_after"] = measured(report->perplexity_after);
  out["tokens_scored"] = report->tokens_scored;
  out["evaluations"] = report->evaluations;
  out["seconds"] = report->seconds;
  out["moves"] = moves;
  return out;
}

py::dict agency_report(const AdaptiveModel& model) {
  const AgencyReport report = model.get_agency_report();
  py::dict layers;
  for (const LayerReport& layer : report.layer_reports) {
    layers[py::int_(layer.layer)] = to_dict(layer);
  }
  py::dict out;
  out["layer_reports"] = layers;
  out["total_violations"] = report.total_violations;
  out["num_layers"] = report.num_layers;
  out["step"] = report.step;
  out["heads_active"] = report.heads_active;
  out["automatic"] = report.automatic;
  out["overload_threshold"] = report.options.overload_threshold;
  out["alignment_threshold"] = report.options.alignment_threshold;
  out["recovery_period"] = report.options.recovery_period;
  py::dict unet, baseline;
  for (const auto& [layer, skip] : report.unet_connections) {
    py::dict entry;
    entry["source"] = skip.source;
    entry["scale"] = skip.scale;
    unet[py::int_(layer)] = entry;
  }
  for (const auto& [layer, share] : report.baseline_integration) {
    baseline[py::int_(layer)] = share;
  }
  out["unet_connections"] = unet;
  out["baseline_integration"] = baseline;
  if (report.performance_stats) out["performance_stats"] = to_dict(*report.performance_stats);
  return out;
}

py::dict gate_activity(const AdaptiveModel& model) {
  const auto open = model.get_gate_activity();
  py::dict out;
  for (size_t layer = 0; layer < open.size(); ++layer) out[py::int_(layer)] = open[layer];
  return out;
}

}  // namespace

void add_agency(AdaptiveClass& model) {
  model.def(
      "set_head_state",
      [](AdaptiveModel& m, int layer, int head, const std::string& state,
         std::optional<bool> consent) {
        return m.set_head_state(layer, head, parse_head_state(state), consent);
      },
      py::arg("layer"), py::arg("head"), py::arg("state"), py::arg("consent"));
  model.def("set_gate", &AdaptiveModel::set_gate, py::arg("layer"), py::arg("head"),
            py::arg("gate"));
  model.def("set_consent", &AdaptiveModel::set_consent, py::arg("layer"), py::arg("head"),
            py::arg("consent"));
  model.def(
      "head_status",
      [](const AdaptiveModel& m, int layer, int head) {
        return to_dict(m.head_status(layer, head));
      },
      py::arg("layer"), py::arg("head"));
  model.def("set_controller", &AdaptiveModel::set_controller, py::arg("options"),
            py::call_guard<GilReleased>());
  model.def("clear_controller", &AdaptiveModel::clear_controller);
  model.def("controller_report", &controller_report);
  model.def("set_timing", &AdaptiveModel::set_timing, py::arg("on"));
  model.def("get_agency_report", &agency_report);
  model.def("get_gate_activity", &gate_activity);
}

}  // namespace sentinel::python
