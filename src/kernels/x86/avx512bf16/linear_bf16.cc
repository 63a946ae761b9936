// y = x W + b for bf16 panels [k / 2][16][2]: one VDPBF16PS multiplies 32 weights.
#include "kernels/x86/avx512/dot_runs.h"
//
#include "kernels/x86/avx512/to_inputs.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

// For dot_tile(): float sums never have to be interrupted.
struct Bf16Dot {
  using Sum = __m512;
  static constexpr int kWordInputs = 2, kTurnWords = 4;
  static constexpr int kBlock = 1 << 30;
  static constexpr int kPrefetch = kPrefetchBf16;

  static constexpr int64_t bytes(int64_t k) { return 2 * k * kPanel; }
  static __m512i word(const std::byte* w, int u) { return _mm512_loadu_si512(w + 64 * u); }
  static Sum start(const LinearArgs&, int, int) { return zero(); }
  static Sum zero() { return _mm512_setzero_ps(); }
  static Sum plus(Sum a, Sum b) { return _mm512_add_ps(a, b); }
  static Sum dot(Sum sum, __m512i weights, __m512i inputs) {
    return _mm512_dpbf16_ps(sum, (__m512bh)weights, (__m512bh)inputs);
  }
  static Vec16 finish_block(const LinearArgs&, int, int, Sum sum, Vec16) { return {sum}; }
  struct Scales {
    Scales(const float*, const float* biases)
        : bias(biases ? Vec16::load(biases) : Vec16::zero()) {}
    Vec16 scaled(Vec16 sum) const { return sum + bias; }
    Vec16 bias;
  };
  static void to_inputs(const float* x, const Operand& out, int64_t row, int64_t column, int n) {
    bf16_to_inputs(x, out, row, column, n);
  }
};

}  // namespace

void prepare_bf16_pairs(const PrepareArgs& a) { prepare_bf16<false>(a); }

void linear_bf16_dot(const LinearArgs& a, int64_t begin, int64_t end) {
  if (a.rows == 1 && a.n_segments > 1) {
    dot_runs<Bf16Dot, sums_per_row(1)>(a, begin, end);
  } else {
    dot_gemm<Bf16Dot>(a, begin, end);
  }
}

void linear_bf16_to_inputs_dot(const LinearArgs& a, const Operand& out, int64_t begin,
                               int64_t end) {
  dot_to_inputs<Bf16Dot>(a, out, begin, end);
}

void window_bf16_dot(const LinearArgs& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const auto panel = dot_panels<1>(a, i);
    even_tiles<kWindowRows>(0, a.rows, [&]<int R>(int row) {
      dot_tile<Bf16Dot, R, 1, sums_per_row(1)>(a, row, panel);
    });
  }
}

}  // namespace sentinel
