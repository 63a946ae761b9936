// Weights in the layout that kernels read: panels of 16 outputs, K innermost-but-one.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/types.h"
#include "model/weight_views.h"

namespace sentinel {

constexpr int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// K is padded to this, so that whole vector and tile steps fit.
int64_t k_unit(WeightType type);
// Bytes of one panel with `k` inputs (k already a multiple of k_unit).
int64_t panel_bytes(WeightType type, int64_t k);

// panels x [k][16]; panel p starts at data + p * panel_stride.
struct PackedMatrix {
  WeightType type = WeightType::f32;
  std::byte* data = nullptr;
  int64_t panels = 0;
  int64_t k = 0;             // padded
  int64_t panel_stride = 0;  // bytes

  int64_t bytes() const { return panels * panel_stride; }
  std::byte* panel(int64_t p) const { return data + p * panel_stride; }
};

// Lays out a matrix of n_out x n_in; data is set by place().
PackedMatrix packed_shape(WeightType type, int64_t n_out, int64_t n_in);

// Packs outputs [out_begin, out_begin + 16) x inputs [in_begin, in_begin + n_in) of `source` (what
// lies beyond its edges is 0) into one panel. False if a value is NaN or infinite.
// `scratch` holds at least 32 * (k + 16) floats.
bool pack_panel(const MatrixView& source, int64_t out_begin, int64_t in_begin, int64_t n_in,
                WeightType type, int64_t k_padded, std::byte* panel, float* scratch);

}  // namespace sentinel
