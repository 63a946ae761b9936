#include "model/packed_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace sentinel {

int64_t k_unit(WeightType type) { return type == WeightType::f32 ? 1 : 64; }

int64_t panel_bytes(WeightType type, int64_t k) {
  switch (type) {
    case WeightType::f32: return k * kPanel * 4;
    default: throw usage_error("weights: {} is not built yet", static_cast<int>(type));
  }
}

PackedMatrix packed_shape(WeightType type, int64_t n_out, int64_t n_in) {
  PackedMatrix m;
  m.type = type;
  m.panels = round_up(n_out, kPanel) / kPanel;
  m.k = round_up(n_in, k_unit(type));
  m.panel_stride = panel_bytes(type, m.k);
  return m;
}

namespace {

// out[k * 16 + c] = source(out_begin + c, in_begin + k); scratch: 16 * n_in floats.
void read_panel(const MatrixView& source, int64_t out_begin, int64_t in_begin, int64_t n_in,
                float* out, float* scratch) {
  const int64_t columns = std::clamp<int64_t>(source.n_out - out_begin, 0, kPanel);
  const int64_t k = std::clamp<int64_t>(source.n_in - in_begin, 0, n_in);
  const auto size = static_cast<int64_t>(size_of(source.dtype));
  const std::byte* base =
      source.data + (out_begin * source.out_stride + in_begin * source.in_stride) * size;
  std::memset(out, 0, sizeof(float) * n_in * kPanel);
  if (columns == 0 || k == 0) return;
  if (source.out_stride == 1) {
    for (int64_t i = 0; i < k; ++i) {
      load_elements(base + i * source.in_stride * size, source.dtype, 1, columns, out + i * kPanel);
    }
    return;
  }
  for (int64_t c = 0; c < columns; ++c) {
    load_elements(base + c * source.out_stride * size, source.dtype, source.in_stride, k,
                  scratch + c * n_in);
  }
  for (int64_t i = 0; i < k; ++i) {
    for (int64_t c = 0; c < columns; ++c) out[i * kPanel + c] = scratch[c * n_in + i];
  }
}

// x - x is 0 for finite x and NaN otherwise; the sum finds any without a branch per element.
bool all_finite(const float* values, int64_t n) {
  float sum[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int u = 0; u < 8; ++u) sum[u] += values[i + u] - values[i + u];
  }
  for (; i < n; ++i) sum[0] += values[i] - values[i];
  float total = 0;
  for (float s : sum) total += s;
  return total == 0;
}

}  // namespace

bool pack_panel(const MatrixView& source, int64_t out_begin, int64_t in_begin, int64_t n_in,
                WeightType type, int64_t k_padded, std::byte* panel, float* scratch) {
  float* rows = type == WeightType::f32 ? reinterpret_cast<float*>(panel) : scratch;
  read_panel(source, out_begin, in_begin, n_in, rows, scratch + k_padded * kPanel);
  if (!all_finite(rows, n_in * kPanel)) return false;
  return true;
}

}  // namespace sentinel
