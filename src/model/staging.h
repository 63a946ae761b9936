// Copies of matrices that are about to be packed. Reading them from their file takes less than half
// of the time of faulting in its mapping (497 MB in the page cache, two threads: 35 and 88 ms).
#pragma once

#include <deque>
#include <span>

#include "base/aligned_buffer.h"
#include "base/thread_pool.h"
#include "model/checkpoint/checkpoint.h"

namespace sentinel {

class Staging {
 public:
  explicit Staging(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  // Points the views to copies of their elements, which stay until the next call; leaves them as
  // they are if their elements do not lie close together in one file. Error (runtime) when the file
  // has been cut short meanwhile.
  void stage(std::deque<MatrixView>& views, ThreadPool& pool);

 private:
  bool read(std::span<const std::byte> stored, ThreadPool& pool);

  const Checkpoint& checkpoint_;
  AlignedBuffer buffer_;
};

}  // namespace sentinel
