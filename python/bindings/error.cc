#include "bindings.h"

namespace py = pybind11;

namespace sentinel::python {

void bind_error(py::module_& module) {
  // Leaked on purpose, as pybind11's own: the translator may run while the interpreter ends.
  static PyObject* type = nullptr;
  if (!type) type = PyErr_NewException("sentinel.Error", PyExc_Exception, nullptr);
  module.attr("Error") = py::reinterpret_borrow<py::object>(type);
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const Error& error) {
      const py::object instance = py::reinterpret_borrow<py::object>(type)(to_str(error.what()));
      instance.attr("kind") = to_string(error.kind());
      PyErr_SetObject(type, instance.ptr());
    }
  });
}

}  // namespace sentinel::python
