// One function per topic; module.cc calls them all.
#pragma once

#include <pybind11/pybind11.h>

#include "gil.h"

#include "sentinel/sentinel.h"

namespace sentinel::python {

void bind_error(pybind11::module_& module);
void bind_baseline(pybind11::module_& module);
void bind_generate(pybind11::module_& module);
void bind_evaluate(pybind11::module_& module);
void bind_measure(pybind11::module_& module);
// The classes; the functions of the other topics are added to them.
using AdaptiveClass = pybind11::class_<AdaptiveModel>;
void bind_adaptive(pybind11::module_& module);
void add_agency(AdaptiveClass& model);
void add_generate(AdaptiveClass& model);
void add_evaluate(AdaptiveClass& model);

// Throws what a pending signal raises (KeyboardInterrupt). Takes the GIL, so it is asked only every
// 20 ms: other threads' Python code would otherwise slow every token down.
class SignalCheck {
 public:
  void poll();

 private:
  double next_s_ = 0;
};

// Bytes that need not be valid UTF-8 as str.
inline pybind11::str to_str(std::string_view text) {
  PyObject* str =
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
  if (!str) throw pybind11::error_already_set();
  return pybind11::reinterpret_steal<pybind11::str>(str);
}

// Paths need not be valid UTF-8 either; os.fsencode() gives their bytes back.
inline pybind11::str path_str(std::string_view path) {
  PyObject* str =
      PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size()));
  if (!str) throw pybind11::error_already_set();
  return pybind11::reinterpret_steal<pybind11::str>(str);
}

}  // namespace sentinel::python
