// Micro-benchmarks of every kernel of the table: GPT-2 small's shapes, one thread.
// `kernel_benchmarks --benchmark_filter=linear/amx` and the like.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/cpu_features.h"
#include "kernels/registry.h"

namespace sentinel {
namespace {

int64_t panel_bytes(int type, int64_t k) {
  const int64_t bytes[] = {k * 64, k * 32, k * 16, k / kInt6Group * kInt6GroupBytes,
                           k / kInt4Step * kInt4StepBytes};
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

using Linear = void (*)(const LinearArgs& args, int64_t begin, int64_t end);

void run_linear(benchmark::State& state, Linear linear, int type, int rows, int k, int n_out) {
  Product product(type, rows, k, n_out);
  for (auto _ : state) {
    linear(product.args, 0, n_out / 16);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * n_out / 16 * product.args.panel_stride);
  state.counters["op/s"] =
      benchmark::Counter(2.0 * rows * k * n_out, benchmark::Counter::kIsIterationInvariantRate);
}

// One row times Wo of 12 heads of 64: a head's part holds all outputs.
void run_heads(benchmark::State& state, Linear linear, int type) {
  constexpr int kHeads = 12, kDim = 64, kOut = 768;
  Product product(type, 1, kHeads * kDim, kOut);
  Segment heads[kHeads];
  for (int h = 0; h < kHeads; ++h) {
    heads[h] = {h * (kOut / kPanel) * panel_bytes(type, kDim), h * kDim, kDim};
  }
  product.args.panel_stride = panel_bytes(type, kDim);
  product.args.segments = heads;
  product.args.n_segments = kHeads;
  for (auto _ : state) {
    linear(product.args, 0, kOut / kPanel);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * kOut / kPanel * panel_bytes(type, kHeads * kDim));
}

// Where one row of up to 4096 inputs becomes an operand.
struct Inputs {
  AlignedBuffer data{size_t{4} * 4224}, scales{4096}, block_sums{4096}, sums{4096};
  Operand operand{data.data(), int64_t{4} * 4224,        scales.as<float>(),
                  32,          block_sums.as<int32_t>(), sums.as<int32_t>(),
                  256};
};

void run_to_inputs(benchmark::State& state, const KernelTable& kernels, int type) {
  constexpr int kRows = 32;
  Product product(type, kRows, 768, 3072);
  AlignedBuffer data(size_t{kRows + 32} * 4 * 3136), scales(size_t{kRows + 32} * 4 * 16),
      sums(size_t{kRows + 32} * 4 * 16);
  Operand out{data.data(), int64_t{4} * 3136, scales.as<float>(), 16, sums.as<int32_t>()};
  product.args.epilogue = Epilogue::gelu_tanh;
  for (auto _ : state) {
    kernels.linear_to_inputs[type](product.args, out, 0, 3072 / 16);
    benchmark::ClobberMemory();
  }
}

void run_prepare(benchmark::State& state, const KernelTable& kernels, int type) {
  const std::vector<float> x(3072, 0.5F);
  const Inputs inputs;
  for (auto _ : state) {
    kernels.prepare[type]({x.data(), 3072, 1, 3072, 3136, nullptr, -1, inputs.operand});
    benchmark::ClobberMemory();
  }
}

void run_encode(benchmark::State& state, const KernelTable& kernels, int type) {
  const std::vector<float> rows(768 * kPanel, 0.5F), scales(kPanel, 0.01F);
  AlignedBuffer panel(static_cast<size_t>(panel_bytes(type, 768)));
  for (auto _ : state) {
    kernels.encode[type](rows.data(), 768, scales.data(), panel.data());
    benchmark::ClobberMemory();
  }
}

// A decode step's key and value of one head, in the middle of a cache of 1024 positions.
void run_append(benchmark::State& state, const KernelTable& kernels, int type) {
  const std::vector<float> k(64, 0.5F), v(64, 0.25F);
  AlignedBuffer cache(size_t{2} * 1024 * 64 * 4), scales(size_t{2} * 1024 * 4);
  AppendArgs args{k.data(), v.data(), 64, 1, 515, 64};
  args.keys = cache.data();
  args.values = cache.data() + int64_t{1024} * 64 * 4;
  args.value_panel_stride = panel_bytes(type, 1024);
  args.key_scales = scales.as<float>();
  args.value_scales = scales.as<float>() + 1024;
  for (auto _ : state) {
    kernels.append[type](args);
    benchmark::ClobberMemory();
  }
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

void register_products(const std::string& isa, const std::string& type_name, int type,
                       const KernelTable& kernels) {
  const std::string name = isa + "/" + type_name + "/";
  for (const int rows : {1, 8, 16, 96, 512}) {
    if (isa == "scalar" && rows > 16) continue;  // seconds a call
    const std::string shape = name + std::to_string(rows) + "x768x2304";
    benchmark::RegisterBenchmark(("linear/" + shape).c_str(), run_linear, kernels.linear[type],
                                 type, rows, 768, 2304);
  }
  // Queries times keys of a block of rows, and its probabilities times values.
  benchmark::RegisterBenchmark(("linear/" + name + "64x64x512").c_str(), run_linear,
                               kernels.linear[type], type, 64, 64, 512);
  benchmark::RegisterBenchmark(("linear/" + name + "64x512x64").c_str(), run_linear,
                               kernels.linear[type], type, 64, 512, 64);
  benchmark::RegisterBenchmark(("window/" + name + "3x768x2304").c_str(), run_linear,
                               kernels.window[type], type, 3, 768, 2304);
  benchmark::RegisterBenchmark(("heads/" + name + "1x768x768").c_str(), run_heads,
                               kernels.linear[type], type);
  if (kernels.linear_to_inputs[type]) {
    benchmark::RegisterBenchmark(("linear_to_inputs/" + name + "32x768x3072").c_str(),
                                 run_to_inputs, kernels, type);
  }
}

const bool kRegistered = [] {
  const char* const types[] = {"f32", "bf16", "int8", "int6", "int4"};
  const CpuFeatures features = detect_cpu_features();
  for (const std::string& isa : available_isas(features)) {
    const KernelTable kernels = select_kernels(features, isa);
    for (int type = 0; type < kWeightTypes; ++type) {
      register_products(isa, types[type], type, kernels);
      const std::string name = isa + "/" + types[type];
      if (kernels.prepare[type]) {
        benchmark::RegisterBenchmark(("prepare/" + name).c_str(), run_prepare, kernels, type);
      }
      if (kernels.encode[type]) {
        benchmark::RegisterBenchmark(("encode/" + name).c_str(), run_encode, kernels, type);
      }
      if (type < 3) {
        benchmark::RegisterBenchmark(("append/" + name).c_str(), run_append, kernels, type);
      }
    }
    benchmark::RegisterBenchmark(("layer_norm/" + isa).c_str(), run_rows, kernels, false);
    benchmark::RegisterBenchmark(("softmax/" + isa).c_str(), run_rows, kernels, true);
  }
  return true;
}();

}  // namespace
}  // namespace sentinel
