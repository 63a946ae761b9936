#include "app/bench/bench_json.h"

#include <nlohmann/json.hpp>

#include "model/model_json.h"

namespace sentinel {
namespace {

nlohmann::json to_json(const BenchRow& row) {
  nlohmann::json document = model_json(row.info);
  document["test"] = row.test;
  document["n_prompt"] = row.n_prompt;
  document["n_gen"] = row.n_gen;
  document["n_depth"] = row.n_depth;
  document["batch"] = row.batch;
  document["n_threads"] = row.n_threads;
  document["heads_closed_percent"] = row.heads_closed_percent;
  document["heads_removed_percent"] = row.heads_removed_percent;
  document["heads_active"] = row.heads_active;
  document["avg_ts"] = row.avg_ts;
  document["stddev_ts"] = row.stddev_ts;
  document["median_ts"] = row.median_ts;
  document["samples_ts"] = row.samples_ts;
  document["step_ms"] = {
      {"p50", row.step_ms_p50}, {"p90", row.step_ms_p90}, {"p99", row.step_ms_p99}};
  document["bytes_per_token"] = row.bytes_per_token;
  document["bandwidth_gbps"] = row.bandwidth_gbps;
  document["bandwidth_fraction"] = row.bandwidth_fraction;
  document["machine_gbps"] = row.machine_gbps;
  document["flops_fraction"] = row.flops_fraction;
  document["machine_gflops"] = row.machine_gflops;
  document["peak_rss_mb"] = row.peak_rss_mb;
  return document;
}

}  // namespace

nlohmann::json bench_json(const BenchResult& result, const BenchOptions& options,
                          const Checkpoint& checkpoint) {
  nlohmann::json rows = nlohmann::json::array();
  for (const BenchRow& row : result.rows) rows.push_back(to_json(row));
  return {{"model", checkpoint.origin()},
          {"rows", rows},
          {"repetitions", options.repetitions},
          {"unet", options.model.unet},
          {"baseline_integration", options.model.mix_baseline},
          {"warmup", options.warmup},
          {"seed", options.seed},
          {"interrupted", result.interrupted}};
}

}  // namespace sentinel
