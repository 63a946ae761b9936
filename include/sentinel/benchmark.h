// `sentinel bench` from a program: prefill and decode speed, beside what the machine allows.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "sentinel/export.h"

namespace sentinel {

class BaselineModel;

struct BenchmarkProgress {
  int done = 0, total = 0;  // runs, warm-up included
  std::string test;
};

// Every combination of the lists is one row.
struct BenchmarkOptions {
  // As in AdaptiveOptions.
  std::optional<int> optimization_level = {};
  std::string isa = {}, weights = {}, lm_head = {}, kv = {};
  std::vector<std::string> agency = {};  // "off", "track", "auto"; empty: by the level

  std::vector<int> n_prompt = {};       // prefill tests, tokens; empty: 512; {0}: none
  std::vector<int> n_gen = {};          // decode tests, tokens; empty: 128; {0}: none
  std::vector<int> n_depth = {0};       // tokens in the context before the test
  std::vector<int> batch = {1};         // sequences at a time
  std::vector<int> threads = {};        // empty: all cores
  std::vector<int> heads_closed = {0};  // percent of all heads, a random choice by the seed
  std::vector<int> heads_removed = {};  // further rows: the same heads, but left out of memory
  int repetitions = 5, warmup = 1;      // timed and untimed runs of each row, interleaved
  uint64_t seed = 0;                    // of the tokens and of the choice of heads

  std::stop_token cancel = {};  // requested: ends after the current step, keeps the runs before
  // Called in the calling thread. What it throws passes through.
  std::function<void(const BenchmarkProgress&)> on_progress = {};
};

// One row. Tokens per second are those of all sequences of the batch together; the machine's own
// limits were measured anew before each run.
struct BenchmarkRow {
  std::string test;  // as llama-bench names them: "pp512", "tg128", "tg128@d512"
  int n_prompt = 0, n_gen = 0, n_depth = 0, batch = 1, n_threads = 0;
  int heads_closed_percent = 0, heads_removed_percent = 0, heads_active = 0;
  int optimization_level = 0;
  std::string isa, weights, lm_head, kv, agency;
  int64_t weight_bytes = 0;
  double avg_ts = 0, stddev_ts = 0, median_ts = 0;
  std::vector<double> samples_ts;                            // [repetitions]
  double step_ms_p50 = 0, step_ms_p90 = 0, step_ms_p99 = 0;  // decode step; prefill: the whole
  double bytes_per_token = 0;     // weights and KV cache read for one token of one sequence of the
                                  // batch, at the mean context
  double bandwidth_gbps = 0;      // 10^9 bytes per second: bytes_per_token x median_ts
  double bandwidth_fraction = 0;  // of machine_gbps
  double machine_gbps = 0;        // read bandwidth at this row's footprint and threads
  // Of machine_gflops: products of the layers, of lm_head (a prefill's last token), and of
  // attention with the positions that each token sees.
  double flops_fraction = 0;
  double machine_gflops = 0;  // peak of products of the row's weight type
  double peak_rss_mb = 0;     // 10^6 bytes, of the process while this row ran
};

struct BenchmarkResult {
  std::vector<BenchmarkRow> rows;  // with at least one timed run
  std::string json;                // the document of `sentinel bench --json`
  bool interrupted = false;
};

// Takes seconds to minutes. Error (usage): numbers out of range, a test that does not fit the
// context.
SENTINEL_API BenchmarkResult benchmark(const BaselineModel& model,
                                       const BenchmarkOptions& options = {});

}  // namespace sentinel
