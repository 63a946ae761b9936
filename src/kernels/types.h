// Plain data that kernels and their callers share. No STL: x86/<isa> files include this with -m
// flags on, and inline library code compiled there must not leak into baseline callers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sentinel {

enum class WeightType : uint8_t { f32, bf16, int8, int4 };
enum class KvType : uint8_t { f32, bf16, int8 };
enum class Activation : uint8_t { gelu_tanh, gelu_erf, relu };

constexpr int kPanel = 16;  // outputs that stand side by side in every packed layout

// A run of K that a product reads: `k` inputs from x_offset on, their weights from weight_offset
// (bytes) on in each panel. A skip list is the list of runs that are left.
struct Segment {
  int64_t weight_offset;
  int32_t x_offset;
  int32_t k;
};

enum class Epilogue : uint8_t {
  store,       // y = xW + b
  add,         // y += xW + b
  gelu_tanh,   // y = gelu(xW + b), tanh form
  gelu_erf,
  relu,
};

// y[r, p*16 + c] (+)= sum over segments, k of x[r, x_offset + k] * W[p][k][c]  (+ bias[p*16 + c]).
struct LinearArgs {
  const std::byte* weights;  // panel 0
  int64_t panel_stride;      // bytes from panel to panel
  const Segment* segments;
  int n_segments;            // 0 is allowed: the product is 0
  const int32_t* panels;     // the panels to compute, or null: 0, 1, 2, ...
  const float* x;            // [rows, x_stride]
  int64_t x_stride;
  int rows;
  float* y;                  // [rows, y_stride]
  int64_t y_stride;
  int64_t n_out;             // columns from n_out on are not stored
  const float* bias;         // [n_out rounded up to 16], or null
  Epilogue epilogue;
};

// Of one attention row: l = sum e^(s - max), t = sum e^(s - max) (s - max).
// Entropy in nats is ln l - t / l (docs/architecture.md, "entropy for free").
struct SoftmaxSums {
  float l, t;
};

struct KernelTable {
  const char* isa;  // "scalar", "avx2", "avx512", "amx"
  // Computes panels[begin..end) (or panels begin..end) for all rows.
  void (*linear_f32)(const LinearArgs& args, int64_t begin, int64_t end);
  // out[r, 0..n) = (x - mean) / sqrt(var + eps) * weight + bias; out[r, n..n_padded) = 0.
  void (*layer_norm)(const float* x, int64_t x_stride, const float* weight, const float* bias,
                     float eps, int rows, int n, int n_padded, float* out, int64_t out_stride);
  // scores[0..n) -> e^(scale * (s - max)), scores[n..n_padded) -> 0. n >= 1.
  SoftmaxSums (*softmax)(float* scores, int n, int n_padded, float scale);
};

}  // namespace sentinel
