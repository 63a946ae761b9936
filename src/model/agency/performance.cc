#include "model/agency/performance.h"

#include <algorithm>

#include "model/trace_size.h"

namespace sentinel {
namespace {

constexpr double kMost = 1 << 20;

size_t events_between(const Model& model) {
  const int longest = model.config().context_length;
  const double passes = prompt_passes(longest) + 1;
  return static_cast<size_t>(std::min(kMost, trace_events(model, passes, longest)));
}

}  // namespace

OperationTimer::OperationTimer(const Model& model)
    : trace_(model.info().threads, events_between(model)) {}

void OperationTimer::collect() {
  Op last = Op::embeddings;
  for (const OpEvent& event : trace_.events(0)) {
    if (event.op != Op::wait) last = event.op;  // a wait is part of what is waited for
    ns_[static_cast<size_t>(last)] += event.end_ns - event.begin_ns;
  }
  trace_.clear();
}

double OperationTimer::seconds(std::initializer_list<Op> ops) const {
  int64_t ns = 0;
  for (const Op op : ops) ns += ns_[static_cast<size_t>(op)];
  return static_cast<double>(ns) * 1e-9;
}

std::optional<PerformanceStats> OperationTimer::stats() const {
  int64_t total = 0;
  for (const int64_t ns : ns_) total += ns;
  if (total == 0) return std::nullopt;
  PerformanceStats stats;
  stats.total_time = static_cast<double>(total) * 1e-9;
  stats.attention_time = seconds({Op::qkv, Op::attention, Op::attention_output});
  stats.baseline_time = seconds({Op::baseline_integration});
  stats.ffn_time = seconds({Op::ffn_up, Op::ffn_down});
  const auto percent = [&](double time) { return 100 * time / stats.total_time; };
  stats.attention_percentage = percent(stats.attention_time);
  stats.baseline_percentage = percent(stats.baseline_time);
  stats.ffn_percentage = percent(stats.ffn_time);
  return stats;
}

}  // namespace sentinel
