// The GIL, given up while the engine computes.
//
// Once the interpreter ends, a thread that asks for the GIL is unwound by force (Python before
// 3.14), through C++ frames that do not allow it: the process aborts. So a daemon thread that comes
// back from the engine then is parked instead, and leaves with the process.
#pragma once

#include <pybind11/pybind11.h>

namespace sentinel::python {

class GilReleased {
 public:
  GilReleased() : state_(PyEval_SaveThread()) {}
  ~GilReleased();
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;

 private:
  PyThreadState* state_;
};

class GilTaken {
 public:
  GilTaken();
  ~GilTaken();
  GilTaken(const GilTaken&) = delete;
  GilTaken& operator=(const GilTaken&) = delete;

 private:
  const bool nested_;  // this thread has it already
  PyGILState_STATE state_;
};

// Has the interpreter call what parks threads before it ends.
void watch_the_end();

}  // namespace sentinel::python
