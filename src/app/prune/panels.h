// Plain f32 products on the kernels' panel layout.
#pragma once

#include "kernels/types.h"

namespace sentinel {

// y [rows, y_stride] = x [rows, x_stride] * panels; `whole` covers the k inputs of a row. Set for
// kernels.linear[f32]; y's columns from n_out on are not stored.
inline LinearArgs f32_product(const float* panels, int64_t panel_floats, const Segment& whole,
                              const float* x, int64_t x_stride, int rows, float* y,
                              int64_t y_stride, int64_t n_out) {
  LinearArgs args{};
  args.weights = reinterpret_cast<const std::byte*>(panels);
  args.panel_stride = panel_floats * static_cast<int64_t>(sizeof(float));
  args.segments = &whole;
  args.n_segments = 1;
  // Inputs are only read; the operand's pointer is not const because others are written into.
  args.x.data = const_cast<std::byte*>(reinterpret_cast<const std::byte*>(x));
  args.x.stride = x_stride * static_cast<int64_t>(sizeof(float));
  args.rows = rows;
  args.y = y;
  args.y_stride = y_stride;
  args.n_out = n_out;
  args.epilogue = Epilogue::store;
  return args;
}

inline void run_f32(const KernelTable& kernels, const LinearArgs& args, int64_t begin,
                    int64_t end) {
  kernels.linear[static_cast<int>(WeightType::f32)](args, begin, end);
}

}  // namespace sentinel
