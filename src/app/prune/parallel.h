// Independent tasks that may throw, on a pool whose bodies must not.
#pragma once

#include <atomic>
#include <exception>
#include <vector>

#include "base/thread_pool.h"

namespace sentinel {

// body(i) for every i in [0, n), each once, in any order; rethrows an exception of one of them.
template <typename Body>
void in_parallel(ThreadPool& pool, size_t n, const Body& body) {
  std::atomic<size_t> next{0};
  std::vector<std::exception_ptr> errors(static_cast<size_t>(pool.size()));
  pool.run([&](int thread) {
    try {
      for (size_t i; (i = next.fetch_add(1)) < n;) body(i);
    } catch (...) {
      errors[static_cast<size_t>(thread)] = std::current_exception();
    }
  });
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace sentinel
