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

// As above, with shares that are two operations each: first(s, member), then second(s, member). The
// caller's become one event of each operation, as long as all of its parts.
template <typename First, typename Second>
void run_timed(ThreadPool& pool, OpTrace* trace, int per_member, Op first_op, const First& first,
               Op second_op, const Second& second, int layer) {
  if (!trace) {
    pool.run_shares(per_member, [&](int s, int member) {
      first(s, member);
      second(s, member);
    });
    return;
  }
  int64_t own_end = OpTrace::now_ns(), in_second = 0;
  pool.run_shares(per_member, [&](int s, int member) {
    if (member > 0) trace->begin(member);
    first(s, member);
    if (member > 0) trace->end(member, first_op, layer);
    const int64_t turn = OpTrace::now_ns();
    second(s, member);
    if (member > 0) {
      trace->end(member, second_op, layer);
    } else {
      own_end = OpTrace::now_ns();
      in_second += own_end - turn;
    }
  });
  trace->end_at(0, first_op, layer, own_end - in_second);
  trace->end_at(0, second_op, layer, own_end);
  trace->end(0, Op::wait, layer);
}

}  // namespace sentinel
