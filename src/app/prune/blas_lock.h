// Debian's serial OpenBLAS is not to be called from two threads at once: now and then one of them
// gets a wrong product, small enough to pass for a worse fit. One caller at a time.
#pragma once

#include <mutex>

namespace sentinel {

class BlasLock {
 public:
  BlasLock() : lock_(mutex()) {}

 private:
  static std::recursive_mutex& mutex() {
    static std::recursive_mutex one;
    return one;
  }
  std::lock_guard<std::recursive_mutex> lock_;
};

}  // namespace sentinel
