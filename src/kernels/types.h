// Plain data that kernels and their callers share. No STL: x86/<isa> files include this with -m
// flags on, and inline library code compiled there must not leak into baseline callers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sentinel {

enum class WeightType : uint8_t { f32, bf16, int8, int6, int4 };
constexpr int kWeightTypes = 5;
enum class KvType : uint8_t { f32, bf16, int8 };
enum class Activation : uint8_t { gelu_tanh, gelu_erf, relu };

constexpr int kPanel = 16;     // outputs that stand side by side in every packed layout
constexpr int kHeadUnit = 32;  // head dimensions are padded to this: int4 groups never straddle

// A run of K that a product reads: `k` inputs from x_offset on, their weights from weight_offset
// (bytes) on in each panel. A skip list is the list of runs that are left.
struct Segment {
  int64_t weight_offset;
  int32_t x_offset;
  int32_t k;
};

enum class Epilogue : uint8_t {
  store,      // y = xW + b
  add,        // y += xW + b
  gelu_tanh,  // y = gelu(xW + b), tanh form
  gelu_erf,
  relu,
};

// Rows of a decode step or a window, at most: a row's int4 products are the same bits for any
// number of them, for more they may be made from widened weights.
constexpr int kFewRows = 16;

constexpr int kQuantBlock = 256;      // inputs that share one int8 scale
constexpr int kSumBlock = 32;         // inputs of an int4 weight group, whose quantised sum is kept
constexpr int kInt6Group = 32;        // K is a multiple of this in int6 panels
constexpr int kInt6GroupBytes = 384;  // of a panel: 32 x 16 numbers of 6 bits
constexpr int kInt4Step = 64;         // K is a multiple of this in int4 panels
constexpr int kInt4StepBytes = 576;   // of a panel: 64 x 16 nibbles, then 2 x 16 f16 scales

// Rows of inputs in the form that a weight type multiplies with.
//   f32, bf16: the numbers, rounded to bf16 for bf16 weights. Integer weights: int8 numbers,
//   x = scale[k / 256] * q, and the sums of q over each 256 inputs, for int4 also -8 times those
//   over each 32 (weights are stored unsigned, w + 128, w + 32 or w + 8: the sums undo it).
// Kernels without instructions for a type take its numbers wider (KernelTable::input_bytes).
struct Operand {
  std::byte* data;
  int64_t stride;  // bytes from row to row
  float* scales;   // [rows, scales_stride]
  int64_t scales_stride;
  int32_t* block_sums;  // [rows, scales_stride]: of each 256 inputs
  int32_t* starts;      // [rows, starts_stride]: where sums of int4 products start
  int64_t starts_stride;
};

struct PrepareArgs {
  const float* x;  // [rows, x_stride]
  int64_t x_stride;
  int rows;
  int k;                    // inputs of a row; from k on up to k_padded the operand is 0
  int k_padded;             // multiple of 64
  const Segment* segments;  // the inputs in use; the rest of the operand is 0
  int n_segments;           // -1: all inputs are in use
  Operand out;
};

// y[r, p*16 + c] (+)= sum over segments, k of x[r, x_offset + k] * W[p][k][c]  (+ bias[p*16 + c]).
struct LinearArgs {
  const std::byte* weights;    // panel 0
  int64_t panel_stride;        // bytes from panel to panel
  const float* weight_scales;  // int8, int6: one per output
  const Segment* segments;     // ascending in x_offset, which is a multiple of 32
  int n_segments;              // 0 is allowed: the product is 0
  const int32_t* panels;       // the panels to compute, or null: 0, 1, 2, ...
  Operand x;
  int rows;
  float* y;  // [rows, y_stride]
  int64_t y_stride;
  int64_t n_out;      // columns from n_out on are not stored
  const float* bias;  // [n_out rounded up to 16], or null
  Epilogue epilogue;
};

constexpr int kInputPanels = kQuantBlock / kPanel;  // whose outputs share one scale as inputs

// New keys and values of one head for its cache (layouts: model/kv_cache.h).
struct AppendArgs {
  const float* k;  // [rows, stride]
  const float* v;
  int64_t stride;
  int rows;
  int first;     // position of the first row
  int head_dim;  // padded: a multiple of 32
  std::byte* keys;
  std::byte* values;
  int64_t value_panel_stride;  // bytes
  float* key_scales;           // int8: [positions], of a position's key and of its value
  float* value_scales;
};

// Of one attention row: l = sum e^(s - max), t = sum e^(s - max) (s - max).
// Entropy in nats is ln l - t / l (docs/architecture.md, "entropy for free").
struct SoftmaxSums {
  float l, t;
};

struct KernelTable {
  const char* isa;  // "scalar", "avx2", "avx512", "amx"
  // By weight type: bytes of one input in an operand. bf16: 2, or 4 (floats). int8: 1, or 2 (words,
  // those of four inputs in the order 0 2 1 3). int6, int4: 1.
  int input_bytes[kWeightTypes];
  // By weight type: computes panels[begin..end) (or panels begin..end) for all rows.
  void (*linear[kWeightTypes])(const LinearArgs& args, int64_t begin, int64_t end);
  // The same for a few rows: a row's result is bit for bit that of linear[] for this row alone.
  void (*window[kWeightTypes])(const LinearArgs& args, int64_t begin, int64_t end);
  // By weight type: x to operand; null for f32, which is multiplied as it is.
  void (*prepare[kWeightTypes])(const PrepareArgs& args);
  // out[c] = the entry of largest magnitude in column c of rows [k][16]; k >= 1.
  void (*widest)(const float* rows, int64_t k, float* out);
  // By weight type: rows [k][16] of weights (k a multiple of 64 for int4, of 32 else, padded with
  // 0) to the panel's bytes. column_scales [16]: int8 and int6 only. Null for f32, whose panels are
  // the rows.
  void (*encode[kWeightTypes])(const float* rows, int64_t k, const float* column_scales,
                               std::byte* panel);
  // By weight type (f32, bf16 or int8) of the cache's panels.
  void (*append[3])(const AppendArgs& args);
  // out[r, 0..n) = (x - mean) / sqrt(var + eps) * weight + bias; out[r, n..n_padded) = 0.
  void (*layer_norm)(const float* x, int64_t x_stride, const float* weight, const float* bias,
                     float eps, int rows, int n, int n_padded, float* out, int64_t out_stride);
  // scores[0..n) -> e^(scale * (s - max)), scores[n..n_padded) -> 0. n >= 1.
  SoftmaxSums (*softmax)(float* scores, int n, int n_padded, float scale);
  // By weight type, null where there is none: as linear, but stores rows [0, args.rows) of `out`,
  // the inputs of a product of the same type, in place of args.y; block sums, but no starts.
  // `begin` is a multiple of kInputPanels, and so is `end` unless it is the last panel; args.panels
  // is null, n_out the number of outputs, a multiple of 16, and the epilogue is not `add`. Zeros
  // fill the last 32 inputs.
  void (*linear_to_inputs[kWeightTypes])(const LinearArgs& args, const Operand& out, int64_t begin,
                                         int64_t end);
};

}  // namespace sentinel
