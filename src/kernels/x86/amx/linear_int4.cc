// y = x W + b for int4 panels on tiles: two panels at a time are expanded to int8 with one scale an
// output (the step of that rounding is 1/127 of the row's largest weight, far below int4's own), a
// piece of K after the other, and all rows run over the expanded piece while it is in L1 and L2.
#include "kernels/x86/amx/quads.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

constexpr int kPieceK = 1024;  // two panels of int8: 32 KiB
constexpr int kPieceSegments = 64;
constexpr int kStepBytes = 576;

struct Piece {
  alignas(64) std::byte weights[2][kPieceK * kPanel + 1024];
  alignas(64) float scales[2][kPanel];
  Segment segments[kPieceSegments];  // weight_offset: into weights[p]
  Segment sources[kPieceSegments];   // weight_offset: into the int4 panel
  int n = 0;
};

// The next segments of up to kPieceK inputs from (index, done) on.
inline void take_segments(const LinearArgs& a, int& index, int& done, Piece& piece) {
  int total = 0;
  piece.n = 0;
  while (index < a.n_segments && piece.n < kPieceSegments && total < kPieceK) {
    const Segment& s = a.segments[index];
    const int left = s.k - done, room = kPieceK - total;
    const int take = left < room ? left : room;
    piece.sources[piece.n] = {s.weight_offset + int64_t{done} / kInt4Step * kStepBytes,
                              s.x_offset + done, take};
    piece.segments[piece.n++] = {int64_t{total} * kPanel, s.x_offset + done, take};
    total += take;
    done += take;
    if (done == s.k) {
      ++index;
      done = 0;
    }
  }
}

inline __m512 group_scale(const std::byte* step, int group) {
  const auto* p = reinterpret_cast<const __m256i*>(step + 512 + 32 * group);
  return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}

// 16 columns x 4 inputs of nibbles (one per byte) times ratio, as bytes w + 128.
inline __m512i expand_quad(__m512i nibbles, __m512 ratio) {
  __m512i out = _mm512_setzero_si512();
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512i q = _mm512_and_si512(_mm512_srli_epi32(nibbles, 8 * j), _mm512_set1_epi32(0xff));
    const __m512 value = _mm512_cvtepi32_ps(_mm512_sub_epi32(q, _mm512_set1_epi32(8)));
    const __m512i rounded =
        _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(value, ratio)), _mm512_set1_epi32(128));
    out = _mm512_or_si512(out, _mm512_slli_epi32(rounded, 8 * j));
  }
  return out;
}

inline void expand_panel(const std::byte* panel, Piece& piece, int p) {
  __m512 widest = _mm512_setzero_ps();
  for (int s = 0; s < piece.n; ++s) {
    const std::byte* step = panel + piece.sources[s].weight_offset;
    for (int k = 0; k < piece.sources[s].k; k += kInt4Step, step += kStepBytes) {
      for (int g = 0; g < 2 && k + 32 * g < piece.sources[s].k; ++g) {
        widest = _mm512_max_ps(widest, _mm512_abs_ps(group_scale(step, g)));
      }
    }
  }
  // A nibble reaches -8: the widest weight of a row is at most 8 * its widest group scale.
  const __m512 scale = _mm512_mul_ps(widest, _mm512_set1_ps(8.0F / 127));
  const __mmask16 used = _mm512_cmp_ps_mask(scale, _mm512_setzero_ps(), _CMP_GT_OQ);
  const __m512 inverse = _mm512_maskz_div_ps(used, _mm512_set1_ps(1), scale);
  _mm512_store_ps(piece.scales[p], scale);
  const __m512i nibble = _mm512_set1_epi8(0x0f);
  for (int s = 0; s < piece.n; ++s) {
    const std::byte* step = panel + piece.sources[s].weight_offset;
    std::byte* out = piece.weights[p] + piece.segments[s].weight_offset;
    for (int k = 0; k < piece.sources[s].k; k += kInt4Step, step += kStepBytes) {
      for (int g = 0; g < 2 && k + 32 * g < piece.sources[s].k; ++g) {
        const __m512 ratio = _mm512_mul_ps(group_scale(step, g), inverse);
        for (int j = 0; j < 4; ++j, out += 128) {
          const __m512i both = _mm512_loadu_si512(step + 256 * g + 64 * j);
          const __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
          _mm512_storeu_si512(out, expand_quad(_mm512_and_si512(both, nibble), ratio));
          _mm512_storeu_si512(out + 64, expand_quad(high, ratio));
        }
      }
    }
  }
}

// All rows over the expanded piece; the first piece starts y, the last finishes it.
void run_piece(const LinearArgs& a, const Piece& piece, const int64_t* panels, int n_panels,
               bool first, bool last) {
  LinearArgs part = a;
  part.segments = piece.segments;
  part.n_segments = piece.n;
  QuadRunner<Int8Tiles> runner(part);
  const bool add = a.epilogue == Epilogue::add;
  for (int row = 0; row < a.rows; row += 32) {
    Quad quad{};
    quad.row = row;
    quad.n_rows = a.rows - row < 32 ? a.rows - row : 32;
    quad.n_panels = n_panels;
    for (int p = 0; p < n_panels; ++p) {
      quad.weights[p] = piece.weights[p];
      quad.scales[p] = piece.scales[p];
      quad.column[p] = panels[p] * kPanel;
      quad.bias[p] = first && a.bias ? a.bias + quad.column[p] : nullptr;
    }
    quad.add = add || !first;
    quad.activation = last ? a.epilogue : Epilogue::store;
    runner.run(quad);
  }
}

template <int P>
inline void panel_group(const LinearArgs& a, const int64_t* panels) {
  Piece piece;
  int index = 0, done = 0;
  bool first = true;
  do {
    take_segments(a, index, done, piece);
    for (int p = 0; p < P; ++p) {
      expand_panel(a.weights + panels[p] * a.panel_stride, piece, p);
    }
    const bool last = index >= a.n_segments;
    run_piece(a, piece, panels, P, first, last);
    first = false;
    if (last) return;
  } while (true);
}

}  // namespace

void linear_int4_amx(const LinearArgs& a, int64_t begin, int64_t end) {
  // Expanding costs as much as some 16 rows' products: few rows use the nibbles directly.
  if (a.rows <= 16) {
    linear_int4_vnni(a, begin, end);
    return;
  }
  const TileScope tiles;
  int64_t i = begin;
  for (; i + 2 <= end; i += 2) {
    const int64_t panels[2] = {panel_index(a, i), panel_index(a, i + 1)};
    panel_group<2>(a, panels);
  }
  if (i < end) {
    const int64_t panel = panel_index(a, i);
    panel_group<1>(a, &panel);
  }
}

}  // namespace sentinel
