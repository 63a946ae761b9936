#include <pybind11/stl.h>

#include "bindings.h"

namespace py = pybind11;

namespace sentinel::python {
namespace {

EvaluationResult evaluate(AdaptiveModel& model, const std::string& text, int window,
                          int max_windows, AdaptiveModel* against) {
  SignalCheck signals;
  EvaluationOptions options;
  options.window = window;
  options.max_windows = max_windows;
  options.against = against;
  options.on_window = [&](int, int) {
    signals.poll();
    return true;
  };
  return model.evaluate(text, options);
}

}  // namespace

void bind_evaluate(py::module_& module) {
  py::class_<EvaluationDivergence>(module, "EvaluationDivergence")
      .def_readonly("kl_mean", &EvaluationDivergence::kl_mean)
      .def_readonly("kl_p50", &EvaluationDivergence::kl_p50)
      .def_readonly("kl_p99", &EvaluationDivergence::kl_p99)
      .def_readonly("top1_agreement", &EvaluationDivergence::top1_agreement)
      .def_readonly("perplexity_base", &EvaluationDivergence::perplexity_base);
  py::class_<EvaluationResult>(module, "EvaluationResult")
      .def_readonly("perplexity", &EvaluationResult::perplexity)
      .def_readonly("nll_mean", &EvaluationResult::nll_mean)
      .def_readonly("bits_per_byte", &EvaluationResult::bits_per_byte)
      .def_readonly("tokens_scored", &EvaluationResult::tokens_scored)
      .def_readonly("window", &EvaluationResult::window)
      .def_readonly("windows", &EvaluationResult::windows)
      .def_readonly("text_sha256", &EvaluationResult::text_sha256)
      .def_readonly("optimization_level", &EvaluationResult::optimization_level)
      .def_readonly("isa", &EvaluationResult::isa)
      .def_readonly("seconds", &EvaluationResult::seconds)
      .def_readonly("divergence", &EvaluationResult::divergence)
      .def("__repr__", [](const EvaluationResult& r) {
        return py::str("<EvaluationResult perplexity {:.4f} on {} tokens, level {}>")
            .format(r.perplexity, r.tokens_scored, r.optimization_level);
      });
}

void add_evaluate(AdaptiveClass& model) {
  model.def("evaluate", &evaluate, py::arg("text"), py::arg("window"), py::arg("max_windows"),
            py::arg("against"), py::call_guard<GilReleased>());
}

}  // namespace sentinel::python
