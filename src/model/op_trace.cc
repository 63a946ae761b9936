#include "model/op_trace.h"

#include <chrono>

namespace sentinel {

const char* to_string(Op op) {
  constexpr const char* kNames[kOps] = {"generation",
                                        "prefill",
                                        "step",
                                        "embeddings",
                                        "layernorm",
                                        "qkv",
                                        "attention",
                                        "attention_output",
                                        "ffn_up",
                                        "ffn_down",
                                        "baseline_integration",
                                        "unet_connection",
                                        "lm_head",
                                        "sampling",
                                        "wait"};
  return kNames[static_cast<int>(op)];
}

OpTrace::OpTrace(int threads, size_t events_per_thread) : tracks_(static_cast<size_t>(threads)) {
  for (Track& track : tracks_) track.events.reserve(events_per_thread);
}

void OpTrace::clear() {
  for (Track& track : tracks_) {
    track.events.clear();
    track.dropped = 0;
  }
}

int64_t OpTrace::dropped() const {
  int64_t sum = 0;
  for (const Track& track : tracks_) sum += track.dropped;
  return sum;
}

int64_t OpTrace::now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace sentinel
