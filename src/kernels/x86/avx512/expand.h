// Narrow panels for the products of int8: two panels at a time are expanded, a piece of K after the
// other, and all rows run over the expanded piece while it is in L1 and L2. int6 weights stay what
// they are; int4 ones get one scale an output (the step of that rounding is 1/127 of the row's
// largest weight, far below int4's own).
#pragma once

#include "kernels/x86/avx512/vec16.h"
//
#include "kernels/generic/activation.h"
#include "kernels/x86/avx512/int6_quad.h"

namespace sentinel {
namespace {

constexpr int kDirectRows = kFewRows;  // expanding costs as much: fewer use the panels directly
constexpr int kPieceK = 1024;          // two panels of int8: 32 KiB
static_assert(kPieceK % kQuantBlock == 0);

struct ExpandedPiece {
  // Groups of kSumBlock inputs of a segment: its weights start at weight_offset of the narrow
  // panel.
  struct Source {
    int64_t weight_offset;
    int first_group, groups;
  };
  alignas(64) std::byte weights[2][kPieceK * kPanel + 1024];
  alignas(64) float scales[2][kPanel];
  Segment segments[kPieceK / kSumBlock];  // weight_offset: into weights[p]
  Source sources[kPieceK / kSumBlock];
  int n = 0;
};

// What is left from (index, done) on of up to kPieceK inputs. They are whole blocks: the sums that
// undo the weights' offset are those of a block.
inline void take_segments(const LinearArgs& a, int& index, int& done, ExpandedPiece& piece) {
  int total = 0, end = 0;
  piece.n = 0;
  for (; index < a.n_segments; ++index, done = 0) {
    const Segment& s = a.segments[index];
    const int begin = s.x_offset + done, left = s.k - done;
    if (end == 0) end = begin / kQuantBlock * kQuantBlock + kPieceK;
    if (begin >= end) return;
    const int take = left < end - begin ? left : end - begin;
    piece.sources[piece.n] = {s.weight_offset, done / kSumBlock, take / kSumBlock};
    piece.segments[piece.n++] = {int64_t{total} * kPanel, begin, take};
    total += take;
    done += take;
    if (take < left) return;
  }
}

struct Int4Half {  // of a step of kInt4Step inputs
  const std::byte* step;
  int half;
};
inline Int4Half half_at(const std::byte* panel, const ExpandedPiece::Source& source, int index) {
  const int group = source.first_group + index;
  return {panel + source.weight_offset + int64_t{group / 2} * kInt4StepBytes, group % 2};
}

inline __m512 group_scale(const std::byte* step, int half) {
  const auto* p = reinterpret_cast<const __m256i*>(step + 512 + 32 * half);
  return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}

// 16 columns x 4 inputs of 16 (w + 8) in the upper four bits of each byte, the rest anything, times
// `ratios` (two a column, in 1/2048), as bytes w + 128: VPMULHRSW is (a * b) / 2^15, rounded.
inline __m512i expand_quad(__m512i upper, __m512i ratios) {
  const __m512i kept = _mm512_xor_si512(_mm512_and_si512(upper, _mm512_set1_epi8(-16)),
                                        _mm512_set1_epi8(-128));  // 16 w, signed
  const __m512i even = _mm512_srai_epi16(_mm512_slli_epi16(kept, 8), 8);
  const __m512i odd = _mm512_srai_epi16(kept, 8);
  const __m512i low = _mm512_mulhrs_epi16(even, ratios), high = _mm512_mulhrs_epi16(odd, ratios);
  const __m512i bytes =
      _mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaaULL, low, _mm512_slli_epi16(high, 8));
  return _mm512_xor_si512(bytes, _mm512_set1_epi8(-128));
}

inline void expand_int4(const std::byte* panel, ExpandedPiece& piece, int p) {
  __m512 widest = _mm512_setzero_ps();
  for (int s = 0; s < piece.n; ++s) {
    for (int i = 0; i < piece.sources[s].groups; ++i) {
      const auto [step, half] = half_at(panel, piece.sources[s], i);
      widest = _mm512_max_ps(widest, _mm512_abs_ps(group_scale(step, half)));
    }
  }
  // A nibble reaches -8: the widest weight of a row is at most 8 * its widest group scale.
  const __m512 scale = _mm512_mul_ps(widest, _mm512_set1_ps(8.0F / 127));
  const __mmask16 used = _mm512_cmp_ps_mask(scale, _mm512_setzero_ps(), _CMP_GT_OQ);
  const __m512 inverse = _mm512_maskz_div_ps(used, _mm512_set1_ps(2048), scale);
  _mm512_store_ps(piece.scales[p], scale);
  for (int s = 0; s < piece.n; ++s) {
    std::byte* out = piece.weights[p] + piece.segments[s].weight_offset;
    for (int i = 0; i < piece.sources[s].groups; ++i) {
      const auto [step, half] = half_at(panel, piece.sources[s], i);
      const __m512i ratio = _mm512_cvtps_epi32(_mm512_mul_ps(group_scale(step, half), inverse));
      const __m512i ratios = _mm512_or_si512(_mm512_slli_epi32(ratio, 16),
                                             _mm512_and_si512(ratio, _mm512_set1_epi32(0xffff)));
      for (int j = 0; j < 4; ++j, out += 128) {
        const __m512i both = _mm512_loadu_si512(step + 256 * half + 64 * j);
        _mm512_storeu_si512(out, expand_quad(_mm512_slli_epi16(both, 4), ratios));
        _mm512_storeu_si512(out + 64, expand_quad(both, ratios));
      }
    }
  }
}

struct ExpandInt4 {
  static void panel(const LinearArgs& a, int64_t index, ExpandedPiece& piece, int p) {
    expand_int4(a.weights + index * a.panel_stride, piece, p);
  }
};

struct ExpandInt6 {
  static void panel(const LinearArgs& a, int64_t index, ExpandedPiece& piece, int p) {
    _mm512_store_ps(piece.scales[p], _mm512_loadu_ps(a.weight_scales + index * kPanel));
    const __m512i zero_points = _mm512_set1_epi8(128 - 32);
    for (int s = 0; s < piece.n; ++s) {
      const ExpandedPiece::Source& source = piece.sources[s];
      const std::byte* group = a.weights + index * a.panel_stride + source.weight_offset +
                               int64_t{source.first_group} * kInt6GroupBytes;
      std::byte* out = piece.weights[p] + piece.segments[s].weight_offset;
      for (int i = 0; i < source.groups; ++i, group += kInt6GroupBytes) {
#pragma GCC unroll 8
        for (int quad = 0; quad < 8; ++quad, out += 64) {
          _mm512_storeu_si512(out, _mm512_add_epi8(int6_quad(group, quad), zero_points));
        }
      }
    }
  }
};

// Calls run(piece, first, last) for every piece of K of P panels.
template <typename Expand, int P, typename Run>
inline void for_each_piece(const LinearArgs& a, const int64_t* panels, const Run& run) {
  ExpandedPiece piece;
  int index = 0, done = 0;
  bool first = true, last = false;
  while (!last) {
    take_segments(a, index, done, piece);
    for (int p = 0; p < P; ++p) Expand::panel(a, panels[p], piece, p);
    last = index >= a.n_segments;
    run(piece, first, last);
    first = false;
  }
}

// Calls group.operator()<P>(panels) for panels [begin, end), two at a time.
template <typename Group>
inline void for_each_pair(const LinearArgs& a, int64_t begin, int64_t end, const Group& group) {
  int64_t i = begin;
  for (; i + 2 <= end; i += 2) {
    const int64_t panels[2] = {panel_index(a, i), panel_index(a, i + 1)};
    group.template operator()<2>(panels);
  }
  if (i < end) {
    const int64_t panel = panel_index(a, i);
    group.template operator()<1>(&panel);
  }
}

}  // namespace
}  // namespace sentinel
