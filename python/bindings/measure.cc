// profile and benchmark: the results as JSON text; what a program reads is parsed from it.
#include <pybind11/stl.h>

#include <optional>

#include "attendance.h"
#include "bindings.h"

namespace py = pybind11;

namespace sentinel::python {
namespace {

// Parsed when first asked for; the same object then.
py::object parsed(const py::object& self) {
  if (!py::hasattr(self, "_data")) {
    self.attr("_data") = py::module_::import("json").attr("loads")(self.attr("json"));
  }
  return self.attr("_data");
}

// Runs `measure(token, on_progress)`; `on_progress` (None: none) is called in this thread.
template <typename Result, typename Progress, typename Measure>
Result attended(const py::object& on_progress, const Measure& measure) {
  Attendance attendance;
  std::function<void(const Progress&)> report;
  if (!on_progress.is_none()) {
    report = [&](const Progress& now) { attendance.make([&] { on_progress(now); }); };
  }
  std::optional<Result> result;
  attendance.run([&] { result = measure(attendance.token(), report); });
  attendance.raise_with(result ? py::cast(*result) : py::none());
  return std::move(*result);
}

ProfilingResult run_profile(ProfilingOptions options, const py::object& on_progress) {
  return attended<ProfilingResult, ProfilingProgress>(
      on_progress, [&](std::stop_token token, const auto& report) {
        options.cancel = std::move(token);
        options.on_progress = report;
        return profile(options);
      });
}

ProfilingResult resume(const std::string& run_folder, const py::object& on_progress) {
  return attended<ProfilingResult, ProfilingProgress>(
      on_progress, [&](std::stop_token token, const auto& report) {
        return resume_profile(run_folder, std::move(token), report);
      });
}

BenchmarkResult run_benchmark(const BaselineModel& model, BenchmarkOptions options,
                              const py::object& on_progress) {
  return attended<BenchmarkResult, BenchmarkProgress>(
      on_progress, [&](std::stop_token token, const auto& report) {
        options.cancel = std::move(token);
        options.on_progress = report;
        return benchmark(model, options);
      });
}

void bind_profiling_options(py::module_& module) {
  using O = ProfilingOptions;
  py::class_<O>(module, "ProfilingOptions")
      .def(py::init<>())
      .def_readwrite("model_name", &O::model_name)
      .def_readwrite("optimization_level", &O::optimization_level)
      .def_readwrite("threads", &O::threads)
      .def_readwrite("isa", &O::isa)
      .def_readwrite("weights", &O::weights)
      .def_readwrite("lm_head", &O::lm_head)
      .def_readwrite("kv", &O::kv)
      .def_readwrite("agency", &O::agency)
      .def_readwrite("pruning_levels", &O::pruning_levels)
      .def_readwrite("strategy", &O::strategy)
      .def_readwrite("recover", &O::recover)
      .def_readwrite("profile_mode", &O::profile_mode)
      .def_readwrite("test_all_optimization_levels", &O::test_all_optimization_levels)
      .def_readwrite("test_integration_points", &O::test_integration_points)
      .def_readwrite("disable_baseline", &O::disable_baseline)
      .def_readwrite("disable_unet", &O::disable_unet)
      .def_readwrite("cpu_specific_optimizations", &O::cpu_specific_optimizations)
      .def_readwrite("memory_profile", &O::memory_profile)
      .def_readwrite("compare_models", &O::compare_models)
      .def_readwrite("model_family", &O::model_family)
      .def_readwrite("sequence_length", &O::sequence_length)
      .def_readwrite("generated_tokens", &O::generated_tokens)
      .def_readwrite("batch_size", &O::batch_size)
      .def_readwrite("iterations", &O::iterations)
      .def_readwrite("warmup", &O::warmup)
      .def_readwrite("temperature", &O::temperature)
      .def_readwrite("seed", &O::seed)
      .def_readwrite("custom_prompts", &O::custom_prompts)
      .def_readwrite("text", &O::text)
      .def_readwrite("calibration", &O::calibration)
      .def_readwrite("max_eval_windows", &O::max_eval_windows)
      .def_readwrite("max_footprint_mb", &O::max_footprint_mb)
      .def_readwrite("output_dir", &O::output_dir)
      .def_readwrite("output_prefix", &O::output_prefix)
      .def_readwrite("visualize", &O::visualize)
      .def_readwrite("export_csv", &O::export_csv)
      .def_readwrite("trace_export", &O::trace_export)
      .def_readwrite("save_generated_text", &O::save_generated_text)
      .def_readwrite("compare_with_previous", &O::compare_with_previous);
}

void bind_benchmark_options(py::module_& module) {
  using O = BenchmarkOptions;
  py::class_<O>(module, "BenchmarkOptions")
      .def(py::init<>())
      .def_readwrite("optimization_level", &O::optimization_level)
      .def_readwrite("isa", &O::isa)
      .def_readwrite("weights", &O::weights)
      .def_readwrite("lm_head", &O::lm_head)
      .def_readwrite("kv", &O::kv)
      .def_readwrite("agency", &O::agency)
      .def_readwrite("n_prompt", &O::n_prompt)
      .def_readwrite("n_gen", &O::n_gen)
      .def_readwrite("n_depth", &O::n_depth)
      .def_readwrite("batch", &O::batch)
      .def_readwrite("threads", &O::threads)
      .def_readwrite("heads_closed", &O::heads_closed)
      .def_readwrite("heads_removed", &O::heads_removed)
      .def_readwrite("repetitions", &O::repetitions)
      .def_readwrite("warmup", &O::warmup)
      .def_readwrite("seed", &O::seed);
}

void bind_progress(py::module_& module) {
  py::class_<ProfilingProgress>(module, "ProfilingProgress")
      .def_readonly("stage", &ProfilingProgress::stage)
      .def_readonly("done", &ProfilingProgress::done)
      .def_readonly("total", &ProfilingProgress::total)
      .def_readonly("detail", &ProfilingProgress::detail)
      .def_readonly("notice", &ProfilingProgress::notice);
  py::class_<BenchmarkProgress>(module, "BenchmarkProgress")
      .def_readonly("done", &BenchmarkProgress::done)
      .def_readonly("total", &BenchmarkProgress::total)
      .def_readonly("test", &BenchmarkProgress::test);
}

void bind_results(py::module_& module) {
  py::class_<ProfilingResult>(module, "ProfilingResult", py::dynamic_attr())
      .def_readonly("json", &ProfilingResult::json)
      .def_readonly("report", &ProfilingResult::report)
      .def_property_readonly("run_folder",
                             [](const ProfilingResult& r) { return path_str(r.run_folder); })
      .def_property_readonly("result_file",
                             [](const ProfilingResult& r) { return path_str(r.result_file); })
      .def_readonly("interrupted", &ProfilingResult::interrupted)
      .def_property_readonly("data", &parsed)
      .def("__str__", [](const ProfilingResult& r) { return r.report; })
      .def("__repr__", [](const ProfilingResult& r) {
        return py::str("<ProfilingResult in {}{}>")
            .format(path_str(r.run_folder), r.interrupted ? ", interrupted" : "");
      });
  py::class_<BenchmarkResult>(module, "BenchmarkResult", py::dynamic_attr())
      .def_readonly("json", &BenchmarkResult::json)
      .def_readonly("interrupted", &BenchmarkResult::interrupted)
      .def_property_readonly("data", &parsed)
      .def_property_readonly("rows", [](const py::object& self) { return parsed(self)["rows"]; })
      .def("__repr__", [](const BenchmarkResult& r) {
        return py::str("<BenchmarkResult of {} rows{}>")
            .format(r.rows.size(), r.interrupted ? ", interrupted" : "");
      });
}

}  // namespace

void bind_measure(py::module_& module) {
  bind_profiling_options(module);
  bind_benchmark_options(module);
  bind_progress(module);
  bind_results(module);
  module.def("profile", &run_profile, py::arg("options"), py::arg("on_progress"));
  module.def("resume_profile", &resume, py::arg("run_folder"), py::arg("on_progress"));
  module.def("benchmark", &run_benchmark, py::arg("model"), py::arg("options"),
             py::arg("on_progress"));
}

}  // namespace sentinel::python
