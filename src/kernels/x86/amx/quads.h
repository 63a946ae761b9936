// Products on tiles, shared by the weight types: C [32 rows x 2 panels] in four tiles, two tiles of
// inputs and two of weights, so that four loads feed four products.
//
// Three things set the speed (measured on a Xeon with AMX, ns per step of four products whose own
// limit is 17):
//   - weights stream through L1 and would push the inputs out: loading them with the non-temporal
//     hint keeps 32 rows of inputs in L1 (36 -> 24);
//   - reading a tile back right after storing it stalls: finished tiles are worked off a few
//     rows at a time between the next products (41 -> 25);
//   - all rows run over a group of panels that stays in L2 (panels_per_group).
#pragma once

#include "kernels/x86/avx512/vec16.h"
//
#include "kernels/types.h"
#include "kernels/x86/amx/tiles.h"
#include "kernels/x86/avx512/quick.h"
#include "kernels/x86/avx512/to_inputs.h"

namespace sentinel {
namespace {

// Up to 32 rows x 2 panels: where the weights are and where the sums go.
struct Quad {
  int row;
  int n_rows, n_panels;
  const std::byte* weights[2];
  const float* scales[2];  // int8: [16] per panel
  const float* bias[2];    // [16] per panel, or null
  int64_t column[2];
  bool add;             // to what is in y
  Epilogue activation;  // applied last; store or add: none
};

inline Quad make_quad(const LinearArgs& a, int row, int n_rows, int64_t first_panel, int n_panels) {
  Quad q{row, n_rows, n_panels, {}, {}, {}, {}, a.epilogue == Epilogue::add, a.epilogue};
  for (int p = 0; p < 2; ++p) {
    const int64_t panel = panel_index(a, first_panel + (p < n_panels ? p : 0));
    q.column[p] = panel * kPanel;
    q.weights[p] = a.weights + panel * a.panel_stride;
    q.scales[p] = a.weight_scales ? a.weight_scales + q.column[p] : nullptr;
    q.bias[p] = a.bias ? a.bias + q.column[p] : nullptr;
  }
  return q;
}

struct Bf16Tiles {
  static constexpr int kTileK = 32;
  static constexpr int kInputBytes = 2;
  static constexpr int kBlock = 1 << 30;  // float sums never have to be interrupted
  // C += A B; the intrinsic wants literal tile numbers.
  template <int C>
  static void product() {
    if constexpr (C == 0) _tile_dpbf16ps(0, 4, 6);
    if constexpr (C == 1) _tile_dpbf16ps(1, 4, 7);
    if constexpr (C == 2) _tile_dpbf16ps(2, 5, 6);
    if constexpr (C == 3) _tile_dpbf16ps(3, 5, 7);
  }

  // The float sums that a stored tile row stands for.
  struct Row {
    Vec16 value(const int32_t* tile) const {
      return Vec16::load(reinterpret_cast<const float*>(tile));
    }
    Vec16 value(const int32_t* tile, Vec16 before) const { return value(tile) + before; }
  };
  struct Rows {
    Rows(const LinearArgs&, int64_t, int) {}
    Row next() { return {}; }
  };
  static Vec16 scaled(Vec16 sum, Vec16, Vec16 bias) { return sum + bias; }

  static void to_inputs(const float* x, const Operand& out, int64_t row, int64_t column, int n) {
    bf16_to_inputs(x, out, row, column, n);
  }
};

// Signed inputs, unsigned weights w + 128. Integer sums end with every block of 256 inputs: they
// are corrected for the offset, scaled by the block's input scale and added to float sums.
struct Int8Tiles {
  static constexpr int kTileK = 64;
  static constexpr int kInputBytes = 1;
  static constexpr int kBlock = kQuantBlock;
  // C += A B; the intrinsic wants literal tile numbers.
  template <int C>
  static void product() {
    if constexpr (C == 0) _tile_dpbsud(0, 4, 6);
    if constexpr (C == 1) _tile_dpbsud(1, 4, 7);
    if constexpr (C == 2) _tile_dpbsud(2, 5, 6);
    if constexpr (C == 3) _tile_dpbsud(3, 5, 7);
  }

  struct Row {
    Vec16 value(const int32_t* tile) const { return number(tile) * scale; }
    Vec16 value(const int32_t* tile, Vec16 before) const {
      return fma(number(tile), scale, before);
    }
    Vec16 number(const int32_t* tile) const {
      return {_mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_load_si512(tile), offset))};
    }
    __m512i offset;
    Vec16 scale;
  };
  // Row after row: the offset and the scale of one block.
  struct Rows {
    Rows(const LinearArgs& a, int64_t row, int block)
        : sum(a.x.block_sums + row * a.x.scales_stride + block),
          scale(a.x.scales + row * a.x.scales_stride + block),
          stride(a.x.scales_stride) {}
    Row next() {
      const Row row{_mm512_set1_epi32(-128 * *sum), Vec16::set1(*scale)};
      sum += stride;
      scale += stride;
      return row;
    }
    const int32_t* sum;
    const float* scale;
    int64_t stride;
  };
  static Vec16 scaled(Vec16 sum, Vec16 weight_scale, Vec16 bias) {
    return fma(sum, weight_scale, bias);
  }

  static void to_inputs(const float* x, const Operand& out, int64_t row, int64_t column, int n) {
    int8_to_inputs(x, out, row, column, n);
  }
};

// Runs quads one after the other; tiles must be configured.
template <typename Format>
class QuadRunner {
 public:
  // `out`: where the results go as inputs, in place of args.y; quads then come with whole groups of
  // kInputPanels, a group after the other.
  explicit QuadRunner(const LinearArgs& args, const Operand* out = nullptr) : a_(args), out_(out) {}
  ~QuadRunner() { drain(32); }
  QuadRunner(const QuadRunner&) = delete;
  QuadRunner& operator=(const QuadRunner&) = delete;

  void run(const Quad& quad) {
    if (quad.n_rows > 16) {
      quad.n_panels == 2 ? run_shape<2, 2>(quad) : run_shape<2, 1>(quad);
    } else {
      quad.n_panels == 2 ? run_shape<1, 2>(quad) : run_shape<1, 1>(quad);
    }
  }

 private:
  static constexpr int kTileK = Format::kTileK;

  template <int R, int P>
  [[gnu::noinline]] void run_shape(const Quad& quad) {
    zero<R, P>();
    before_tile_loads();
    int block = -1;
    bool first = true;
    for (int s = 0; s < a_.n_segments; ++s) {
      const Segment& segment = a_.segments[s];
      const std::byte* w0 = quad.weights[0] + segment.weight_offset;
      const std::byte* w1 = quad.weights[P - 1] + segment.weight_offset;
      int k = segment.x_offset;
      const int end = k + segment.k;
      while (k < end) {
        const int next = k / Format::kBlock;
        if (next != block) {
          if (block >= 0) {
            store<R, P>(quad, block, first, false);
            first = false;
            zero<R, P>();
          }
          block = next;
        }
        const int64_t block_end = int64_t{next + 1} * Format::kBlock;
        const int stop = end < block_end ? end : static_cast<int>(block_end);
        const int rate = drain_rate(stop - k);
        const std::byte* x = a_.x.data + quad.row * a_.x.stride;
        for (; k + kTileK <= stop; k += kTileK, w0 += 1024, w1 += 1024) {
          multiply<R, P>(x + k * Format::kInputBytes, a_.x.stride, w0, w1);
          drain(rate);
        }
        for (; k < stop; k += kTileK / 2, w0 += 512, w1 += 512) {
          multiply_half<R, P>(x + k * Format::kInputBytes, w0, w1);
        }
      }
    }
    if (block < 0) block = 0;  // nothing left of K: the tiles hold 0
    store<R, P>(quad, block, first, true);
  }

  template <int R, int P>
  static void zero() {
    _tile_zero(0);
    if constexpr (P == 2) _tile_zero(1);
    if constexpr (R == 2) _tile_zero(2);
    if constexpr (R == 2 && P == 2) _tile_zero(3);
  }

  template <int R, int P>
  static void multiply(const std::byte* x, int64_t x_stride, const std::byte* w0,
                       const std::byte* w1) {
    _tile_loadd(4, x, x_stride);
    _tile_stream_loadd(6, w0, 64);
    Format::template product<0>();
    if constexpr (P == 2) {
      _tile_stream_loadd(7, w1, 64);
      Format::template product<1>();
    }
    if constexpr (R == 2) {
      _tile_loadd(5, x + 16 * x_stride, x_stride);
      Format::template product<2>();
      if constexpr (P == 2) Format::template product<3>();
    }
  }

  // The last half step of K: inputs copied beside zeros, so that the weights behind count nothing.
  template <int R, int P>
  void multiply_half(const std::byte* x, const std::byte* w0, const std::byte* w1) {
    alignas(64) std::byte half[16 * R][64];
    for (int r = 0; r < 16 * R; ++r) {
      const auto* in = reinterpret_cast<const __m256i*>(x + r * a_.x.stride);
      _mm512_store_si512(half[r], _mm512_zextsi256_si512(_mm256_loadu_si256(in)));
    }
    before_tile_loads();
    multiply<R, P>(half[0], 64, w0, w1);
  }

  // Puts the tiles where drain() finds them.
  template <int R, int P>
  void store(const Quad& quad, int block, bool first, bool last) {
    drain(32);
    constexpr int kStride = sizeof tiles_[0];
    _tile_stored(0, tiles_[0][0], kStride);
    if constexpr (P == 2) _tile_stored(1, tiles_[0][1], kStride);
    if constexpr (R == 2) _tile_stored(2, tiles_[16][0], kStride);
    if constexpr (R == 2 && P == 2) _tile_stored(3, tiles_[16][1], kStride);
    pending_ = quad;
    block_ = block;
    next_ = 0;
    drain_ = choose_drain<P>(first, last);
  }

  // Rows to work off per step so that all are done within `k` inputs.
  int drain_rate(int k) const {
    const int steps = k / kTileK > 0 ? k / kTileK : 1;
    return (pending_.n_rows - next_ + steps - 1) / steps;
  }

  void drain(int rows) {
    const int left = pending_.n_rows - next_;
    if (left > 0) (this->*drain_)(rows < left ? rows : left);
  }

  enum class Mode { store, add, gelu, any, inputs };
  using Drain = void (QuadRunner::*)(int rows);

  template <int P>
  Drain choose_drain(bool first, bool last) const {
    if (!last) return drain_of<P, false, Mode::any>(first);
    if (out_) return drain_of<P, true, Mode::inputs>(first);
    const bool whole = a_.n_out - pending_.column[P - 1] >= kPanel && pending_.bias[0];
    if (whole && pending_.add) return drain_of<P, true, Mode::add>(first);
    if (whole && pending_.activation == Epilogue::store)
      return drain_of<P, true, Mode::store>(first);
    if (whole && pending_.activation == Epilogue::gelu_tanh) {
      return drain_of<P, true, Mode::gelu>(first);
    }
    return drain_of<P, true, Mode::any>(first);
  }
  template <int P, bool kLast, Mode kMode>
  static Drain drain_of(bool first) {
    return first ? &QuadRunner::drain_rows<P, true, kLast, kMode>
                 : &QuadRunner::drain_rows<P, false, kLast, kMode>;
  }

  // The next rows of the stored tiles: added to the sums of earlier blocks, or, after the last
  // block, scaled and written to y.
  template <int P, bool kFirst, bool kLast, Mode kMode>
  [[gnu::noinline]] void drain_rows(int rows) {
    Vec16 bias[P], scale[P];
    float* y[P];
    for (int p = 0; p < P; ++p) {
      if (!kLast) break;
      bias[p] = pending_.bias[p] ? Vec16::load(pending_.bias[p]) : Vec16::zero();
      scale[p] = pending_.scales[p] ? Vec16::load(pending_.scales[p]) : Vec16::set1(1);
      y[p] = kMode == Mode::inputs
                 ? group_[next_] + pending_.column[p] % kQuantBlock
                 : a_.y + int64_t{pending_.row + next_} * a_.y_stride + pending_.column[p];
    }
    // Locals: every vector store might change a member, as far as the compiler knows.
    const int64_t y_stride = kMode == Mode::inputs ? kGroupStride : a_.y_stride;
    int64_t y_row = pending_.row + next_;
    const int32_t* tile = tiles_[next_][0];
    float* sums = sums_[next_][0];
    typename Format::Rows scales(a_, pending_.row + next_, block_);
    next_ += rows;
    for (; rows > 0; --rows, tile += 32, sums += 32) {
      const auto row = scales.next();
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) {
        Vec16 value = kFirst ? row.value(tile + 16 * p)
                             : row.value(tile + 16 * p, Vec16::load(sums + 16 * p));
        if (!kLast) {
          value.store(sums + 16 * p);
          continue;
        }
        value = Format::scaled(value, scale[p], bias[p]);
        write<kMode>(value, y[p], pending_.column[p]);
        y[p] += y_stride;
      }
      if (kLast && kMode == Mode::inputs) group_to_inputs(y[P - 1] - y_stride, y_row++);
    }
  }

  // After the last panel of a group: its row goes out.
  void group_to_inputs(const float* last, int64_t row) {
    const int64_t end = pending_.column[pending_.n_panels - 1] + kPanel;
    if (end % kQuantBlock != 0 && end < a_.n_out) return;
    const int n = static_cast<int>((end - 1) % kQuantBlock + 1);
    Format::to_inputs(last + kPanel - n, *out_, row, end - n, n);
  }

  template <Mode kMode>
  void write(Vec16 value, float* y, int64_t column) const {
    if (kMode == Mode::store) {
      value.store(y);
    } else if (kMode == Mode::gelu) {
      quick_gelu_tanh(value).store(y);
    } else if (kMode == Mode::inputs) {
      quick_activate(pending_.activation, value).store(y);
    } else if (kMode == Mode::add) {
      (value + Vec16::load(y)).store(y);
    } else {
      const int64_t left = a_.n_out - column;
      const int n = left < kPanel ? static_cast<int>(left) : kPanel;
      if (pending_.add) value = value + Vec16::load_n(y, n);
      quick_activate(pending_.activation, value).store_n(y, n);
    }
  }

  static constexpr int kGroupStride = kQuantBlock + kPanel;  // rows on different cache sets

  const LinearArgs& a_;
  const Operand* out_;
  alignas(64) int32_t tiles_[32][2][16];  // stored tiles: int32, or float bits
  alignas(64) float sums_[32][2][16];
  alignas(64) float group_[32][kGroupStride];  // outputs of one group, before they become inputs
  Quad pending_{};
  int block_ = 0, next_ = 0;
  Drain drain_ = nullptr;
};

// All rows over panels [begin, end).
template <typename Format>
inline void linear_tiles(const LinearArgs& a, int64_t begin, int64_t end,
                         const Operand* out = nullptr) {
  const TileScope tiles;
  QuadRunner<Format> runner(a, out);
  int64_t group = panels_per_group(a);
  if (out) group = group < kInputPanels ? kInputPanels : group / kInputPanels * kInputPanels;
  for (int64_t first = begin; first < end; first += group) {
    const int64_t last = first + group < end ? first + group : end;
    for (int row = 0; row < a.rows; row += 32) {
      const int n_rows = a.rows - row < 32 ? a.rows - row : 32;
      for (int64_t i = first; i < last; i += 2) {
        runner.run(make_quad(a, row, n_rows, i, last - i < 2 ? 1 : 2));
      }
    }
  }
}

}  // namespace
}  // namespace sentinel
