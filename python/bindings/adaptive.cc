#include <pybind11/stl.h>

#include "attendance.h"
#include "bindings.h"

namespace py = pybind11;

namespace sentinel::python {
namespace {

py::dict info_dict(const AdaptiveModel& model) {
  const RunInfo info = model.info();
  py::dict out;
  out["optimization_level"] = info.optimization_level;
  out["threads"] = info.threads;
  out["device"] = info.device;
  out["isa"] = info.isa;
  out["weights"] = info.weights;
  out["lm_head"] = info.lm_head;
  out["kv"] = info.kv;
  out["agency"] = info.agency;
  out["kv_return"] = info.kv_return;
  out["head_means"] = info.head_means;
  out["protect_first"] = info.protect_first;
  out["baseline_integration"] = info.baseline_integration;
  out["draft_weights"] = info.draft_weights;
  out["unet"] = info.unet;
  out["kv_cache"] = info.kv_cache;
  out["weight_bytes"] = info.weight_bytes;
  out["kv_bytes_per_token"] = info.kv_bytes_per_token;
  out["heads"] = info.heads;
  out["heads_active"] = info.heads_active;
  return out;
}

std::vector<std::pair<int, int>> prune(AdaptiveModel& model, int percent,
                                       const std::string& strategy, const std::string& calibration,
                                       uint64_t seed) {
  std::vector<std::pair<int, int>> heads;
  Attendance attendance;
  attendance.run([&] {
    for (const HeadId id :
         model.prune(percent, {strategy, calibration, seed, attendance.token()})) {
      heads.emplace_back(id.layer, id.head);
    }
  });
  attendance.raise_with(py::none());
  return heads;
}

}  // namespace

void bind_adaptive(py::module_& module) {
  py::class_<AgencyOptions>(module, "AgencyOptions")
      .def_readwrite("overload_threshold", &AgencyOptions::overload_threshold)
      .def_readwrite("alignment_threshold", &AgencyOptions::alignment_threshold)
      .def_readwrite("recovery_period", &AgencyOptions::recovery_period);
  py::class_<AdaptiveOptions>(module, "AdaptiveOptions")
      .def(py::init<>())
      .def_readwrite("optimization_level", &AdaptiveOptions::optimization_level)
      .def_readwrite("device", &AdaptiveOptions::device)
      .def_readwrite("threads", &AdaptiveOptions::threads)
      .def_readwrite("isa", &AdaptiveOptions::isa)
      .def_readwrite("weights", &AdaptiveOptions::weights)
      .def_readwrite("lm_head", &AdaptiveOptions::lm_head)
      .def_readwrite("kv", &AdaptiveOptions::kv)
      .def_readwrite("kv_return", &AdaptiveOptions::kv_return)
      .def_readwrite("agency", &AdaptiveOptions::agency)
      .def_readwrite("agency_options", &AdaptiveOptions::agency_options)
      .def_readwrite("protect_first", &AdaptiveOptions::protect_first)
      .def_readwrite("head_means", &AdaptiveOptions::head_means)
      .def_readwrite("baseline_integration", &AdaptiveOptions::baseline_integration)
      .def_readwrite("integration_baseline", &AdaptiveOptions::integration_baseline)
      .def_readwrite("draft_weights", &AdaptiveOptions::draft_weights)
      .def_readwrite("draft_length", &AdaptiveOptions::draft_length)
      .def_readwrite("draft_ngrams", &AdaptiveOptions::draft_ngrams)
      .def_readwrite("unet", &AdaptiveOptions::unet);
  py::class_<ControllerOptions>(module, "ControllerOptions")
      .def(py::init<>())
      .def_readwrite("goal", &ControllerOptions::goal)
      .def_readwrite("tokens_per_second", &ControllerOptions::tokens_per_second)
      .def_readwrite("max_perplexity_increase", &ControllerOptions::max_perplexity_increase)
      .def_readwrite("text", &ControllerOptions::text)
      .def_readwrite("max_windows", &ControllerOptions::max_windows)
      .def_readwrite("interval", &ControllerOptions::interval)
      .def_readwrite("margin", &ControllerOptions::margin)
      .def_readwrite("max_heads_closed", &ControllerOptions::max_heads_closed);
  AdaptiveClass model(module, "AdaptiveModel");
  model.def_property_readonly("optimization_level", &AdaptiveModel::optimization_level);
  model.def("info", &info_dict);
  model.def("prune", &prune, py::arg("percent"), py::arg("strategy"), py::arg("calibration_text"),
            py::arg("seed"));
  model.def(
      "save_pretrained",
      [](const AdaptiveModel& m, const std::string& folder, const std::string& dtype, bool padded) {
        m.save_pretrained(folder, {dtype, padded});
      },
      py::arg("folder"), py::arg("dtype"), py::arg("padded"), py::call_guard<GilReleased>());
  add_agency(model);
  add_generate(model);
  add_evaluate(model);
  module.def(
      "load_adaptive_model",
      [](const BaselineModel& baseline, const AdaptiveOptions& options,
         const BaselineModel* dense) {
        return dense ? load_adaptive_model(baseline, options, *dense)
                     : load_adaptive_model(baseline, options);
      },
      py::arg("baseline"), py::arg("options"), py::arg("dense"), py::call_guard<GilReleased>());
}

}  // namespace sentinel::python
