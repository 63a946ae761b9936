// sentinel._core: the C++ API as it is. The package around it makes it pleasant.
#include "bindings.h"

#include <pybind11/stl.h>

#include <chrono>

namespace py = pybind11;

namespace sentinel::python {

void SignalCheck::poll() {
  const double now =
      std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  if (now < next_s_) return;
  next_s_ = now + 0.02;
  const GilTaken gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace sentinel::python

PYBIND11_MODULE(_core, module) {
  using namespace sentinel::python;
  module.doc() = "The C++ API of Sentinel; use the package sentinel.";
  watch_the_end();
  bind_error(module);
  bind_baseline(module);
  bind_generate(module);
  bind_evaluate(module);
  bind_adaptive(module);
  bind_measure(module);
  module.def("build_info", [] {
    const sentinel::BuildInfo info = sentinel::build_info();
    py::dict out;
    out["version"] = info.version;
    out["commit"] = info.commit;
    out["compiler"] = info.compiler;
    out["build_type"] = info.build_type;
    out["isas"] = info.isas;
    return out;
  });
  module.def("finds_tokenizer", &sentinel::finds_tokenizer, py::arg("name"));
  module.def("bundled_model", [] { return path_str(sentinel::bundled_model()); });
  module.def(
      "bundled_text",
      [](const std::string& name) { return path_str(sentinel::bundled_text(name)); },
      py::arg("name"));
}
