#include "sentinel/benchmark.h"

#include <nlohmann/json.hpp>

#include "api/cancel.h"
#include "api/impl.h"
#include "api/model_options.h"
#include "app/bench/bench_json.h"

namespace sentinel {
namespace {

BenchOptions bench_options(const BenchmarkOptions& options) {
  BenchOptions bench{.prompts = options.n_prompt,
                     .generations = options.n_gen,
                     .depths = options.n_depth,
                     .batches = options.batch,
                     .threads = options.threads,
                     .heads_closed = options.heads_closed,
                     .heads_removed = options.heads_removed,
                     .repetitions = options.repetitions,
                     .warmup = options.warmup,
                     .seed = options.seed,
                     .model = model_options(adaptive_options(options))};
  for (const std::string& mode : options.agency) bench.agency.push_back(parse_agency_mode(mode));
  return bench;
}

BenchmarkRow to_public(const BenchRow& row) {
  BenchmarkRow out;
  out.test = row.test;
  out.n_prompt = row.n_prompt;
  out.n_gen = row.n_gen;
  out.n_depth = row.n_depth;
  out.batch = row.batch;
  out.n_threads = row.n_threads;
  out.heads_closed_percent = row.heads_closed_percent;
  out.heads_removed_percent = row.heads_removed_percent;
  out.heads_active = row.heads_active;
  out.optimization_level = row.info.level;
  out.isa = row.info.isa;
  out.weights = to_string(row.info.weights);
  out.lm_head = to_string(row.info.lm_head);
  out.kv = kv_cache_name(row.info);
  out.agency = to_string(row.info.agency);
  out.weight_bytes = row.info.weight_bytes;
  out.avg_ts = row.avg_ts;
  out.stddev_ts = row.stddev_ts;
  out.median_ts = row.median_ts;
  out.samples_ts = row.samples_ts;
  out.step_ms_p50 = row.step_ms_p50;
  out.step_ms_p90 = row.step_ms_p90;
  out.step_ms_p99 = row.step_ms_p99;
  out.bytes_per_token = row.bytes_per_token;
  out.bandwidth_gbps = row.bandwidth_gbps;
  out.bandwidth_fraction = row.bandwidth_fraction;
  out.machine_gbps = row.machine_gbps;
  out.flops_fraction = row.flops_fraction;
  out.machine_gflops = row.machine_gflops;
  out.peak_rss_mb = row.peak_rss_mb;
  return out;
}

}  // namespace

BenchmarkResult benchmark(const BaselineModel& model, const BenchmarkOptions& options) {
  BenchOptions bench = bench_options(options);
  const CancelFlag cancel(options.cancel);
  bench.cancel = cancel.flag();
  BenchCallback progress;
  if (options.on_progress) {
    progress = [&](const BenchProgress& now) {
      options.on_progress({now.done, now.total, now.test});
    };
  }
  const auto& checkpoint = model.impl().checkpoint;
  const BenchResult measured = run_bench(checkpoint, bench, progress);
  BenchmarkResult result;
  for (const BenchRow& row : measured.rows) result.rows.push_back(to_public(row));
  result.json = bench_json(measured, bench, *checkpoint)
                    .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  result.interrupted = measured.interrupted;
  return result;
}

}  // namespace sentinel
