// Work of minutes: it runs in a thread of its own, while the calling thread answers its progress
// and looks for signals, so that Ctrl-C is heard at once, whatever is being computed.
#pragma once

#include <pybind11/pybind11.h>

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <stop_token>

namespace sentinel::python {

class Attendance {
 public:
  // Requested by what a call or a signal raises: the work then ends soon, and keeps what it has.
  std::stop_token token() const { return stop_.get_token(); }

  // Has `call` made in the thread that called run(), with the GIL; returns when it was made.
  void make(const std::function<void()>& call);

  // Runs `work` to its end, without the GIL. Throws what it threw, unless something was raised.
  void run(const std::function<void()>& work);

  // Throws what was raised, with `result` (None: nothing was kept) as its attribute.
  void raise_with(const pybind11::object& result);

 private:
  void answer(const std::function<void()>* call);

  std::stop_source stop_;
  std::exception_ptr raised_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void()>* pending_ = nullptr;
  bool done_ = false;
};

}  // namespace sentinel::python
