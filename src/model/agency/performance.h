// Sums of operation times over whole generations, for the agency report.
#pragma once

#include <array>
#include <optional>

#include "model/model.h"

namespace sentinel {

class OperationTimer {
 public:
  // Memory for what the model records between two calls of collect(): one step, or one prompt.
  explicit OperationTimer(const Model& model);

  OpTrace& trace() { return trace_; }
  // Adds what the trace holds, and empties it.
  void collect();
  // Empty until an operation has been timed.
  std::optional<PerformanceStats> stats() const;

 private:
  double seconds(std::initializer_list<Op> ops) const;

  OpTrace trace_;
  std::array<int64_t, kOps> ns_{};  // of thread 0, which takes part in every operation
};

}  // namespace sentinel
