// The document of `sentinel bench --json`.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "app/bench/bench.h"

namespace sentinel {

// model, rows, repetitions, warmup, seed, interrupted. `options` as they were given to run_bench().
nlohmann::json bench_json(const BenchResult& result, const BenchOptions& options,
                          const Checkpoint& checkpoint);

}  // namespace sentinel
