#include "gil.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace py = pybind11;

namespace sentinel::python {
namespace {

std::atomic<bool> ending{false};
std::thread::id ends_it;       // set before `ending`
std::atomic<int> with_gil{0};  // threads of the engine that ask for the GIL or have it back

void ask() {
  with_gil.fetch_add(1);
  if (!ending || std::this_thread::get_id() == ends_it) return;
  with_gil.fetch_sub(1);
  while (true) pause();
}

// Those that asked before come through first: their callbacks end, and they park at the next.
void end() {
  ends_it = std::this_thread::get_id();
  ending = true;
  PyThreadState* state = PyEval_SaveThread();
  const auto last = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (with_gil > 0 && std::chrono::steady_clock::now() < last) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  PyEval_RestoreThread(state);
}

}  // namespace

GilReleased::~GilReleased() {
  ask();
  PyEval_RestoreThread(state_);
  with_gil.fetch_sub(1);
}

GilTaken::GilTaken() : nested_(PyGILState_Check() != 0) {
  if (!nested_) ask();
  state_ = PyGILState_Ensure();
}

GilTaken::~GilTaken() {
  PyGILState_Release(state_);
  if (!nested_) with_gil.fetch_sub(1);
}

void watch_the_end() { py::module_::import("atexit").attr("register")(py::cpp_function(&end)); }

}  // namespace sentinel::python
