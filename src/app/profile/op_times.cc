#include "app/profile/op_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

namespace sentinel {
namespace {

constexpr double kNs = 1e-9;

bool is_span(Op op) { return op == Op::generation || op == Op::prefill || op == Op::step; }

double seconds_of(const OpEvent& event) {
  return static_cast<double>(event.end_ns - event.begin_ns) * kNs;
}

}  // namespace

OpTime PhaseTimes::sum(Op op) const {
  OpTime sum;
  for (const auto& layer : layers) {
    const OpTime& time = layer[static_cast<size_t>(op)];
    sum.seconds += time.seconds;
    sum.wait += time.wait;
    sum.count += time.count;
  }
  return sum;
}

OpTimes op_times(const OpTrace& trace, int n_layers) {
  OpTimes times;
  times.dropped = trace.dropped();
  for (auto* phase : {&times.prefill, &times.decode}) {
    phase->layers.resize(static_cast<size_t>(n_layers) + 1);
  }
  int64_t first_step = std::numeric_limits<int64_t>::max(), begin = first_step, end = 0;
  for (const OpEvent& event : trace.events(0)) {
    begin = std::min(begin, event.begin_ns);
    end = std::max(end, event.end_ns);
    if (event.op != Op::step) continue;
    first_step = std::min(first_step, event.begin_ns);
    ++times.steps;
  }
  Op last = Op::embeddings;
  for (const OpEvent& event : trace.events(0)) {
    if (is_span(event.op)) continue;
    PhaseTimes& phase = event.begin_ns >= first_step ? times.decode : times.prefill;
    const bool waits = event.op == Op::wait;
    if (!waits) last = event.op;
    OpTime& time = phase.layers[static_cast<size_t>(event.layer + 1)][static_cast<size_t>(last)];
    time.seconds += seconds_of(event);
    if (waits) {
      time.wait += seconds_of(event);
    } else {
      ++time.count;
    }
  }
  if (end == 0) return times;
  const int64_t turn = std::clamp(first_step, begin, end);
  times.prefill.total = static_cast<double>(turn - begin) * kNs;
  times.decode.total = static_cast<double>(end - turn) * kNs;
  return times;
}

std::string chrome_trace(const OpTrace& trace, const std::string& title) {
  int64_t start = std::numeric_limits<int64_t>::max();
  for (int t = 0; t < trace.threads(); ++t) {
    for (const OpEvent& event : trace.events(t)) start = std::min(start, event.begin_ns);
  }
  const std::string name =
      nlohmann::json(title).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string out = fmt::format(
      "{{\"displayTimeUnit\": \"ms\",\n\"otherData\": {{\"title\": {}, \"dropped_events\": {}}},\n"
      "\"traceEvents\": [\n"
      "{{\"name\": \"process_name\", \"ph\": \"M\", \"pid\": 1, \"args\": {{\"name\": {}}}}}",
      name, trace.dropped(), name);
  for (int t = 0; t < trace.threads(); ++t) {
    out += fmt::format(
        ",\n{{\"name\": \"thread_name\", \"ph\": \"M\", \"pid\": 1, \"tid\": {}, "
        "\"args\": {{\"name\": \"thread {}\"}}}}",
        t, t);
    // The format wants an outer event in front of what it holds.
    std::vector<OpEvent> events = trace.events(t);
    std::stable_sort(events.begin(), events.end(), [](const OpEvent& a, const OpEvent& b) {
      if (a.begin_ns != b.begin_ns) return a.begin_ns < b.begin_ns;
      if (a.end_ns != b.end_ns) return a.end_ns > b.end_ns;
      return a.op < b.op;
    });
    for (const OpEvent& event : events) {
      const auto us = [](int64_t ns) { return fmt::format("{}.{:03}", ns / 1000, ns % 1000); };
      out += fmt::format(
          ",\n{{\"name\": \"{}\", \"cat\": \"{}\", \"ph\": \"X\", \"pid\": 1, \"tid\": {}, "
          "\"ts\": {}, \"dur\": {}",
          to_string(event.op), is_span(event.op) ? "phase" : "operation", t,
          us(event.begin_ns - start), us(event.end_ns - event.begin_ns));
      if (event.layer >= 0) out += fmt::format(", \"args\": {{\"layer\": {}}}", event.layer);
      out += "}";
    }
  }
  return out + "\n]}\n";
}

}  // namespace sentinel
