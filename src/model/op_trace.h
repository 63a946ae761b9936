// Times of single operations, for the profiler. Off means a null pointer: the decoder then pays one
// comparison per operation. On, it reads a clock and writes into memory reserved before.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sentinel {

// The first three hold the others; `wait` is for the members that still work on the operation
// before it.
enum class Op : uint8_t {
  generation,
  prefill,
  step,
  embeddings,
  norm,
  qkv,
  attention,
  attention_output,
  ffn_up,
  ffn_down,
  baseline_integration,
  unet_connection,
  lm_head,
  sampling,
  wait
};
inline constexpr int kOps = static_cast<int>(Op::wait) + 1;
const char* to_string(Op op);

// Bytes by operation.
using OpBytes = std::array<int64_t, kOps>;

struct OpEvent {
  int64_t begin_ns, end_ns;  // of the steady clock
  int32_t layer;             // -1: of no layer
  Op op;
};

// One recording of all threads of a pool; each thread writes its own part. Not to be read while a
// model computes.
class OpTrace {
 public:
  // What does not fit `events_per_thread` is counted, not kept.
  OpTrace(int threads, size_t events_per_thread);

  // The next operation of the thread begins now.
  void begin(int thread) { tracks_[static_cast<size_t>(thread)].last_ns = now_ns(); }
  // It ends now, and the one after it begins.
  void end(int thread, Op op, int layer) { end_at(thread, op, layer, now_ns()); }
  // It ended at `end_ns`, where the one after it began.
  void end_at(int thread, Op op, int layer, int64_t end_ns) {
    Track& track = tracks_[static_cast<size_t>(thread)];
    keep(track, {track.last_ns, end_ns, layer, op});
    track.last_ns = end_ns;
  }
  // One of known bounds, on thread 0.
  void span(Op op, int64_t begin_ns, int64_t end_ns) {
    keep(tracks_[0], {begin_ns, end_ns, -1, op});
  }
  void clear();

  int threads() const { return static_cast<int>(tracks_.size()); }
  // In the order of their ends.
  const std::vector<OpEvent>& events(int thread) const {
    return tracks_[static_cast<size_t>(thread)].events;
  }
  int64_t dropped() const;
  static int64_t now_ns();

 private:
  struct alignas(64) Track {
    std::vector<OpEvent> events;
    int64_t last_ns = 0;
    int64_t dropped = 0;
  };
  static void keep(Track& track, const OpEvent& event) {
    if (track.events.size() < track.events.capacity()) {
      track.events.push_back(event);
    } else {
      ++track.dropped;
    }
  }

  std::vector<Track> tracks_;
};

}  // namespace sentinel
