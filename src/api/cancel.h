// From the public stop tokens to the flag that the engine looks at.
#pragma once

#include <atomic>
#include <functional>
#include <stop_token>
#include <utility>

namespace sentinel {

class CancelFlag {
 public:
  explicit CancelFlag(std::stop_token token) : on_stop_(std::move(token), [this] { set(); }) {}
  CancelFlag(const CancelFlag&) = delete;
  CancelFlag& operator=(const CancelFlag&) = delete;

  void set() { flag_ = true; }
  const std::atomic<bool>* flag() const { return &flag_; }

 private:
  std::atomic<bool> flag_{false};
  std::stop_callback<std::function<void()>> on_stop_;  // after the flag that it sets
};

}  // namespace sentinel
