// Resident memory of the run over time.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "app/report/profile_result.h"

namespace sentinel {

class MemoryRecorder {
 public:
  // In front of everything: what an earlier part of the run recorded.
  void restore(std::vector<MemorySnapshot> samples, double peak_mb);
  // Also kept among samples().
  MemorySnapshot take(const std::string& stage);
  // As take, but not more often than ten times a second while the stage stays the same.
  void sample(const std::string& stage);

  const std::vector<MemorySnapshot>& samples() const { return samples_; }
  // Highest of peak_rss_mb() at any snapshot: timing resets the kernel's own mark.
  double peak_mb() const { return peak_mb_; }

 private:
  std::vector<MemorySnapshot> samples_;
  double peak_mb_ = 0;
  double last_wall_ = 0, last_cpu_ = 0;  // s
};

}  // namespace sentinel
