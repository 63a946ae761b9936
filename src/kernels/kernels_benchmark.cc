// Micro-benchmarks of every product kernel, beside the layouts they read: GPT-2 small's shapes, one
// thread. `kernel_benchmarks --benchmark_filter=linear/amx` and the like.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/cpu_features.h"
#include "kernels/registry.h"

namespace sentinel {
namespace {

int64_t panel_bytes(int type, int64_t k) {
  const int64_t bytes[] = {k * 64, k * 32, k * 16, k / 64 * 576};
  return bytes[type];
}

// rows x k inputs times k x n_out weights, all zero: the time does not depend on the values.
struct Product {
  Product(int type, int rows, int k, int n_out)
      : weights(n_out / 16 * panel_bytes(type, k) + 1024),
        x((rows + 32) * (k + 64) * 4),
        y(rows * (n_out + 16) * 4),
        scales((rows + 32 + n_out) * (k / 32 + 2) * 4),
        segment{0, 0, k} {
    args.weights = weights.data();
    args.panel_stride = panel_bytes(type, k);
    args.weight_scales = scales.as<float>();
    args.segments = &segment;
    args.n_segments = 1;
    args.x = {x.data(),    (k + 64) * 4,         scales.as<float>(),
              k / 256 + 1, scales.as<int32_t>(), scales.as<int32_t>(),
              k / 32 + 2};
    args.rows = rows;
    args.y = y.as<float>();
    args.y_stride = n_out + 16;
    args.n_out = n_out;
  }
  AlignedBuffer weights, x, y, scales;
  Segment segment;
  LinearArgs args{};
};

void run_linear(benchmark::State& state, const KernelTable& kernels, int type, int rows, int k,
                int n_out) {
  Product product(type, rows, k, n_out);
  for (auto _ : state) {
    kernels.linear[type](product.args, 0, n_out / 16);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * n_out / 16 * product.args.panel_stride);
  state.counters["op/s"] =
      benchmark::Counter(2.0 * rows * k * n_out, benchmark::Counter::kIsIterationInvariantRate);
}

void run_rows(benchmark::State& state, const KernelTable& kernels, bool softmax) {
  std::vector<float> x(1024, 0.5F), weight(1024, 1), bias(1024), out(1024);
  for (auto _ : state) {
    if (softmax) {
      benchmark::DoNotOptimize(kernels.softmax(x.data(), 1024, 1024, 0.125F));
    } else {
      kernels.layer_norm(x.data(), 1024, weight.data(), bias.data(), 1e-5F, 1, 768, 768, out.data(),
                         1024);
    }
    benchmark::ClobberMemory();
  }
}

const bool kRegistered = [] {
  const char* const types[] = {"f32", "bf16", "int8", "int4"};
  const CpuFeatures features = detect_cpu_features();
  for (const std::string& isa : available_isas(features)) {
    const KernelTable kernels = select_kernels(features, isa);
    for (int type = 0; type < 4; ++type) {
      for (const int rows : {1, 8, 16, 96, 512}) {
        if (isa == "scalar" && rows > 16) continue;  // seconds a call
        const std::string name =
            "linear/" + isa + "/" + types[type] + "/" + std::to_string(rows) + "x768x2304";
        benchmark::RegisterBenchmark(name.c_str(), run_linear, kernels, type, rows, 768, 2304);
      }
    }
    benchmark::RegisterBenchmark(("layer_norm/" + isa).c_str(), run_rows, kernels, false);
    benchmark::RegisterBenchmark(("softmax/" + isa).c_str(), run_rows, kernels, true);
  }
  return true;
}();

}  // namespace
}  // namespace sentinel
