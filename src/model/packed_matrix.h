// Weights in the layout that kernels read: panels of 16 outputs, K innermost-but-one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/types.h"
#include "model/weight_views.h"

namespace sentinel {

constexpr int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// K is padded to a multiple of this with zero weights.
int64_t k_unit(WeightType type);
// Whether a matrix has one scale an output, beside its panels.
constexpr bool has_column_scales(WeightType type) {
  return type == WeightType::int8 || type == WeightType::int6;
}
constexpr bool is_integer(WeightType type) {
  return has_column_scales(type) || type == WeightType::int4;
}
// Bytes of k inputs of one panel (k a multiple of k_unit).
int64_t panel_bytes(WeightType type, int64_t k);
// Floats (f32), or bytes, that an operand row of k inputs needs in units of inputs: padded so that
// reads of a padded K stay inside.
constexpr int64_t operand_width(int64_t k) { return round_up(k, 64) + 64; }
constexpr int64_t kOverread = 31;  // rows that kernels may read behind an operand's last

// panels x [k][16]; panel p starts at data + p * panel_stride.
struct PackedMatrix {
  WeightType type = WeightType::f32;
  std::byte* data = nullptr;
  float* scales = nullptr;  // int8, int6: [panels * 16]; otherwise null
  int64_t panels = 0;
  int64_t k = 0;             // padded
  int64_t panel_stride = 0;  // bytes

  int64_t bytes() const { return panels * panel_stride; }
  int64_t scale_bytes() const { return has_column_scales(type) ? panels * kPanel * 4 : 0; }
  std::byte* panel(int64_t p) const { return data + p * panel_stride; }
  float* panel_scales(int64_t p) const { return scales ? scales + p * kPanel : nullptr; }
};

// Lays out a matrix of n_out x n_in; data and scales are set by whoever places it.
PackedMatrix packed_shape(WeightType type, int64_t n_out, int64_t n_in);

// Sixteen outputs to pack. Several sources stand side by side along K and share the outputs' scales
// (the heads of Wo); source s goes to destination + s * destination_stride.
struct PanelTask {
  std::span<const MatrixView* const> sources;
  int64_t out_begin;
  int64_t n_in;  // of each source; what lies beyond a source's edges is 0
  WeightType type;
  int64_t k;  // padded
  std::byte* destination;
  int64_t destination_stride;
  float* scales;  // [16], int8 and int6 only
};

// Floats of scratch that pack_panel needs.
int64_t pack_scratch(const PanelTask& task);
// Null, or the source that holds NaN or infinity.
const MatrixView* pack_panel(const PanelTask& task, const KernelTable& kernels, float* scratch);

// The first n weights of one output, as products take them.
void unpack_output(const PackedMatrix& matrix, int64_t output, int64_t n, float* out);

}  // namespace sentinel
