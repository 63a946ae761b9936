// Prefill and decode speed of a model, beside what the machine allows. Tokenising and sampling are
// not part of it; tokens are random ids. Tests are named as in llama-bench: pp512 (prefill of 512
// tokens), tg128 (128 decode steps), tg128@d512 (behind 512 tokens of context).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/model.h"

namespace sentinel {

struct BenchOptions {
  std::vector<int> prompts;             // tokens; empty: 512 as far as the context allows
  std::vector<int> generations;         // tokens; empty: 128 as far as the context allows
  std::vector<int> depths = {0};        // tokens in the context before the test
  std::vector<int> batches = {1};       // sequences at a time
  std::vector<int> threads;             // empty: model.threads
  std::vector<int> heads_closed = {0};  // percent of all heads, a random choice by seed
  std::vector<int> heads_removed;       // further rows: the same heads, but left out of memory
  std::vector<AgencyMode> agency;       // empty: model.agency
  int repetitions = 5;
  int warmup = 1;     // untimed runs of every row
  uint64_t seed = 0;  // of tokens and head choice
  ModelOptions model;
  const std::atomic<bool>* cancel = nullptr;  // set: ends after the current step; keeps the rest
};

struct BenchRow {
  std::string test;
  int n_prompt = 0, n_gen = 0, n_depth = 0, batch = 1;
  int n_threads = 0;
  int heads_closed_percent = 0, heads_removed_percent = 0, heads_active = 0;
  ModelInfo info;
  // Tokens per second (all sequences of the batch together).
  double avg_ts = 0, stddev_ts = 0, median_ts = 0;
  std::vector<double> samples_ts;                            // [repetitions]
  double step_ms_p50 = 0, step_ms_p90 = 0, step_ms_p99 = 0;  // decode step; prefill: the whole
  // Weights (once per step or prefill) and KV cache read per token at the mean context.
  double bytes_per_token = 0;
  double bandwidth_gbps = 0;      // bytes_per_token x median_ts
  double bandwidth_fraction = 0;  // of machine_gbps, each repetition against its own measurement
  double machine_gbps = 0;        // read bandwidth at this row's footprint and threads, median
  double flops_fraction = 0;      // of machine_gflops
  double machine_gflops = 0;      // peak of products of the row's weight type, with its threads: median
  double peak_rss_mb = 0;         // of the process while this row ran, without the probe's memory
};

struct BenchResult {
  std::vector<BenchRow> rows;  // only rows with at least one repetition
  bool interrupted = false;
};

struct BenchProgress {
  int done = 0, total = 0;  // runs, warm-up included
  std::string test;
};
using BenchCallback = std::function<void(const BenchProgress&)>;

// Repetitions go round all rows (A B A B), so that a change of the machine meets every row alike;
// before each repetition the machine's limits are measured again.
// Error (usage): numbers out of range, a test that does not fit the context.
BenchResult run_bench(std::shared_ptr<const Checkpoint> checkpoint, const BenchOptions& options,
                      const BenchCallback& progress = nullptr);

// floor(heads x percent / 100) heads in seeded random order: a larger share holds the smaller.
std::vector<HeadId> random_heads(const ModelConfig& config, int percent, uint64_t seed);

}  // namespace sentinel
