// Debian's serial OpenBLAS is not to be called from two threads at once: now and then one of them
// gets a wrong product, small enough to pass for a worse fit. One caller at a time. And where
// memory is short it asks for its buffer of 128 MB again and again, for ever: asked for here first.
#pragma once

#include <sys/mman.h>

#include <mutex>
#include <new>

namespace sentinel {

class BlasLock {
 public:
  BlasLock() : lock_(mutex()) { [[maybe_unused]] static const bool has_room = require_room(); }

 private:
  static bool require_room() {
    constexpr size_t kBuffer = size_t{136} << 20;
    void* probe = mmap(nullptr, kBuffer, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (probe == MAP_FAILED) throw std::bad_alloc();
    munmap(probe, kBuffer);
    return true;
  }
  static std::recursive_mutex& mutex() {
    static std::recursive_mutex one;
    return one;
  }
  std::lock_guard<std::recursive_mutex> lock_;
};

}  // namespace sentinel
