// profile and benchmark: the results as JSON text; what a program reads is parsed from it.
#include <pybind11/stl.h>

#include <optional>

#include "app/sweep/profile_arguments.h"
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
  py::class_<O> options(module, "ProfilingOptions");
  options.def(py::init<>())
      .def_readwrite("optimization_level", &O::optimization_level)
      .def_readwrite("threads", &O::threads)
      .def_readwrite("isa", &O::isa)
      .def_readwrite("weights", &O::weights)
      .def_readwrite("lm_head", &O::lm_head)
      .def_readwrite("kv", &O::kv)
      .def_readwrite("agency", &O::agency)
      .def_readwrite("pruning_levels", &O::pruning_levels)
      .def_readwrite("compare_models", &O::compare_models);
  const auto define = [&](const char* name, auto field) { options.def_readwrite(name, field); };
  visit_arguments<O>(define);
  visit_optional_texts<O>(define);
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
