#include "attendance.h"

#include "gil.h"

#include <chrono>
#include <thread>

namespace py = pybind11;

namespace sentinel::python {
namespace {
constexpr std::chrono::milliseconds kBetweenLooks{50};
}

void Attendance::make(const std::function<void()>& call) {
  std::unique_lock lock(mutex_);
  pending_ = &call;
  changed_.notify_all();
  changed_.wait(lock, [this] { return !pending_; });
}

void Attendance::answer(const std::function<void()>* call) {
  const GilTaken gil;
  try {
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (call && !raised_) (*call)();
  } catch (...) {
    if (!raised_) raised_ = std::current_exception();
    stop_.request_stop();
  }
}

void Attendance::run(const std::function<void()>& work) {
  std::exception_ptr failure;
  {
    const GilReleased release;
    const std::jthread worker([&] {
      try {
        work();
      } catch (...) {
        failure = std::current_exception();
      }
      const std::scoped_lock lock(mutex_);
      done_ = true;
      changed_.notify_all();
    });
    std::unique_lock lock(mutex_);
    while (!done_) {
      changed_.wait_for(lock, kBetweenLooks, [this] { return done_ || pending_; });
      const auto* call = pending_;
      lock.unlock();
      answer(call);
      lock.lock();
      if (!call) continue;
      pending_ = nullptr;
      changed_.notify_all();
    }
  }
  if (failure && !raised_) std::rethrow_exception(failure);
}

void Attendance::raise_with(const py::object& result) {
  if (!raised_) return;
  try {
    std::rethrow_exception(raised_);
  } catch (py::error_already_set& error) {
    if (PyObject_SetAttrString(error.value().ptr(), "result", result.ptr()) != 0) PyErr_Clear();
    throw;
  }
}

}  // namespace sentinel::python
