// Keys and values into the cache's panels. Included after a vec16.h.
#pragma once

#include "kernels/generic/operand.h"
#include "kernels/types.h"

namespace sentinel {
namespace {

// Key panels [head_dim][16 positions]; value panels [position][16].
void append_f32(const AppendArgs& a) {
  for (int r = 0; r < a.rows; ++r) {
    const int position = a.first + r;
    float* key = reinterpret_cast<float*>(a.keys) +
                 int64_t{position / kPanel} * kPanel * a.head_dim + position % kPanel;
    const float* k = a.k + r * a.stride;
    const float* v = a.v + r * a.stride;
    for (int e = 0; e < a.head_dim; ++e) key[e * kPanel] = k[e];
    for (int e = 0; e < a.head_dim; e += kPanel) {
      float* out = reinterpret_cast<float*>(a.values + e / kPanel * a.value_panel_stride);
      Vec16::load(v + e).store(out + int64_t{position} * kPanel);
    }
  }
}

// Key panels [head_dim / 2][16 positions][2]: a pair of dimensions is one word.
inline void append_key_bf16(const AppendArgs& a, const float* k, int position) {
  std::byte* panel =
      a.keys + int64_t{position / kPanel} * kPanel * a.head_dim * 2 + position % kPanel * 4;
  for (int e = 0; e < a.head_dim; e += 16) {
    alignas(32) unsigned pairs[8];
    store_bf16(Vec16::load(k + e), pairs);
    for (int j = 0; j < 8; ++j) __builtin_memcpy(panel + (e / 2 + j) * 64, &pairs[j], 4);
  }
}

// Value panels [position / 2][16][2]: two positions are written at once where both are new.
void append_bf16(const AppendArgs& a) {
  for (int r = 0; r < a.rows; ++r) append_key_bf16(a, a.k + r * a.stride, a.first + r);
  for (int r = 0; r < a.rows;) {
    const int position = a.first + r;
    const float* v = a.v + r * a.stride;
    const bool pair = position % 2 == 0 && r + 1 < a.rows;
    for (int e = 0; e < a.head_dim; e += kPanel) {
      std::byte* words = a.values + e / kPanel * a.value_panel_stride + int64_t{position / 2} * 64;
      const Vec16 value = Vec16::load(v + e);
      if (pair) {
        store_bf16_pairs(value, Vec16::load(v + a.stride + e), words);
      } else if (position % 2 == 0) {
        store_bf16_pairs(value, Vec16::zero(), words);
      } else {
        store_bf16_pairs(load_bf16_half<0>(words), value, words);
      }
    }
    r += pair ? 2 : 1;
  }
}

// Writes x = scale q (n numbers, a multiple of 16) as bytes q + 128, four in a word, to
// put(index of the word's first number, word); returns the scale.
template <typename Put>
inline float append_row_int8(const float* x, int n, const Put& put) {
  Vec16 high = abs(Vec16::load(x));
  for (int e = 16; e < n; e += 16) high = max(high, abs(Vec16::load(x + e)));
  const BlockScale block(high.highest());
  const Vec16 inverse = Vec16::set1(block.inverse);
  for (int e = 0; e < n; e += 16) {
    alignas(16) unsigned words[4];
    store_int8(round_nearest(Vec16::load(x + e) * inverse), words);
    for (int j = 0; j < 4; ++j) put(e + 4 * j, words[j] ^ 0x80808080U);
  }
  return block.scale;
}

// Key panels [head_dim / 4][16 positions][4], value panels [position / 4][16][4].
void append_int8(const AppendArgs& a) {
  for (int r = 0; r < a.rows; ++r) {
    const int position = a.first + r;
    std::byte* key =
        a.keys + int64_t{position / kPanel} * kPanel * a.head_dim + position % kPanel * 4;
    a.key_scales[position] = append_row_int8(
        a.k + r * a.stride, a.head_dim,
        [&](int e, unsigned word) { __builtin_memcpy(key + e * kPanel, &word, 4); });
    std::byte* value = a.values + int64_t{position / 4} * 64 + position % 4;
    a.value_scales[position] =
        append_row_int8(a.v + r * a.stride, a.head_dim, [&](int e, unsigned word) {
          std::byte* out = value + e / kPanel * a.value_panel_stride + e % kPanel * 4;
          for (int i = 0; i < 4; ++i) out[4 * i] = static_cast<std::byte>(word >> (8 * i));
        });
  }
}

}  // namespace
}  // namespace sentinel
