// A call of the thread pool as one operation of a recording.
#pragma once

#include "base/thread_pool.h"
#include "model/op_trace.h"

namespace sentinel {

// pool.run_shares(). With a trace: the caller's shares become one event of thread 0, what it then
// waits for the others a second one, and every share of another member one of its own.
template <typename Body>
void run_timed(ThreadPool& pool, OpTrace* trace, int per_member, Op op, int layer,
               const Body& body) {
  if (!trace) {
    pool.run_shares(per_member, body);
    return;
  }
  int64_t own_end = OpTrace::now_ns();  // of the caller's last share
  pool.run_shares(per_member, [&](int s, int member) {
    if (member > 0) trace->begin(member);
    body(s, member);
    if (member > 0) {
      trace->end(member, op, layer);
    } else {
      own_end = OpTrace::now_ns();
    }
  });
  trace->end_at(0, op, layer, own_end);
  trace->end(0, Op::wait, layer);
}

}  // namespace sentinel
