#include "app/sweep/memory_recorder.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include "base/clock.h"
#include "base/memory_meter.h"

namespace sentinel {
namespace {

constexpr double kInterval = 0.1;   // s
constexpr double kShortest = 0.01;  // s: over less, the clocks' steps are all that shows

}  // namespace

void MemoryRecorder::restore(std::vector<MemorySnapshot> samples, double peak_mb) {
  samples.insert(samples.end(), std::make_move_iterator(samples_.begin()),
                 std::make_move_iterator(samples_.end()));
  samples_ = std::move(samples);
  peak_mb_ = std::max(peak_mb_, peak_mb);
}

MemorySnapshot MemoryRecorder::take(const std::string& stage) {
  const double wall = now_s(), cpu = process_cpu_s();
  MemorySnapshot snapshot;
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  snapshot.timestamp = std::chrono::duration<double>(since_1970).count();
  snapshot.rss_mb = rss_mb();
  snapshot.stage = stage;
  const bool first = last_wall_ == 0;
  if (first || wall - last_wall_ >= kShortest) {
    if (!first) snapshot.cpu_percent = 100 * (cpu - last_cpu_) / (wall - last_wall_);
    last_wall_ = wall;
    last_cpu_ = cpu;
  } else {
    snapshot.cpu_percent = samples_.back().cpu_percent;
  }
  peak_mb_ = std::max({peak_mb_, peak_rss_mb(), snapshot.rss_mb});
  samples_.push_back(snapshot);
  return snapshot;
}

void MemoryRecorder::sample(const std::string& stage) {
  const bool same = !samples_.empty() && samples_.back().stage == stage;
  if (!same || now_s() - last_wall_ >= kInterval) take(stage);
}

}  // namespace sentinel
