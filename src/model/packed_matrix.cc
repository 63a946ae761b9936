#include "model/packed_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace sentinel {

int64_t k_unit(WeightType type) {
  switch (type) {
    case WeightType::f32:
      return 1;
    case WeightType::bf16:
      return 32;
    case WeightType::int8:
      return 32;
    case WeightType::int6:
      return kInt6Group;
    case WeightType::int4:
      return kInt4Step;
  }
  return 1;
}

int64_t panel_bytes(WeightType type, int64_t k) {
  switch (type) {
    case WeightType::f32:
      return k * kPanel * 4;
    case WeightType::bf16:
      return k * kPanel * 2;
    case WeightType::int8:
      return k * kPanel;
    case WeightType::int6:
      return k / kInt6Group * kInt6GroupBytes;
    case WeightType::int4:
      return k / kInt4Step * kInt4StepBytes;
  }
  return 0;
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

// out[k * 16 + c] = source(out_begin + c, k), but for its scale, for k < n_in; scratch: 16 * n_in
// floats.
void read_panel(const MatrixView& source, int64_t out_begin, int64_t n_in, float* out,
                float* scratch) {
  const int64_t columns = std::clamp<int64_t>(source.n_out - out_begin, 0, kPanel);
  const int64_t k = std::min(source.n_in, n_in);
  const auto size = static_cast<int64_t>(size_of(source.dtype));
  const std::byte* base = source.data + out_begin * source.out_stride * size;
  if (columns < kPanel || k < n_in) std::memset(out, 0, sizeof(float) * n_in * kPanel);
  if (columns == 0 || k == 0) return;
  if (source.out_stride == 1) {
    if (source.dtype == DType::f32 && columns == kPanel) {  // a call for each 64 bytes costs more
      for (int64_t i = 0; i < k; ++i) {
        std::memcpy(out + i * kPanel, base + i * source.in_stride * size, sizeof(float) * kPanel);
      }
      return;
    }
    if (source.dtype == DType::int8 && columns == kPanel) {
      for (int64_t i = 0; i < k; ++i) {
        int8_t numbers[kPanel];
        std::memcpy(numbers, base + i * source.in_stride, kPanel);
        for (int c = 0; c < kPanel; ++c) out[i * kPanel + c] = numbers[c];
      }
      return;
    }
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

void scale_panel(const MatrixView& source, int64_t out_begin, float* rows) {
  const int64_t columns = std::clamp<int64_t>(source.n_out - out_begin, 0, kPanel);
  const float* scales = source.scales + out_begin * source.scale_out_stride;
  for (int64_t i = 0; i < source.n_in; ++i, scales += source.scale_in_stride) {
    for (int64_t c = 0; c < columns; ++c) {
      rows[i * kPanel + c] *= scales[c * source.scale_out_stride];
    }
  }
}

// Whether the sources are int8 with one scale an output, the same for all: their numbers can be
// packed as they are.
bool share_scales(std::span<const MatrixView* const> sources) {
  return std::all_of(sources.begin(), sources.end(), [&](const MatrixView* source) {
    return source->scales && source->scales == sources[0]->scales && source->scale_in_stride == 0;
  });
}

void multiply_scales(const PanelTask& task) {
  const MatrixView& source = *task.sources[0];
  const int64_t columns = std::clamp<int64_t>(source.n_out - task.out_begin, 0, kPanel);
  for (int64_t c = 0; c < columns; ++c) {
    task.scales[c] *= source.scales[(task.out_begin + c) * source.scale_out_stride];
  }
}

// What maps each column's entry of largest magnitude to 127 or -127, or at 6 bits to -32, the
// widest number that they hold.
void column_scales(const KernelTable& kernels, WeightType type, const float* rows, int64_t k,
                   float* scales) {
  kernels.widest(rows, k, scales);
  for (int c = 0; c < kPanel; ++c) {
    scales[c] = type == WeightType::int6 ? scales[c] / -32 : std::fabs(scales[c]) / 127;
  }
}

// The four bytes of a column in a row of 64 bytes, [16][4].
const std::byte* quad_at(const std::byte* rows, int64_t row, int64_t column) {
  return rows + (row * kPanel + column) * 4;
}

int bits(std::byte byte, int from, int count) {
  return std::to_integer<int>(byte) >> from & ((1 << count) - 1);
}

void unpack_int6(const std::byte* panel, int64_t column, float scale, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    const std::byte* group = panel + i / kInt6Group * kInt6GroupBytes;
    const int quad = static_cast<int>(i % kInt6Group / 4);
    const int low = bits(quad_at(group, quad / 2, column)[i % 4], quad % 2 * 4, 4);
    const int high = bits(quad_at(group, 4 + quad / 4, column)[i % 4], quad % 4 * 2, 2);
    out[i] = static_cast<float>(high * 16 + low - 32) * scale;
  }
}

void unpack_int4(const std::byte* panel, int64_t column, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    const std::byte* step = panel + i / kInt4Step * kInt4StepBytes;
    const int64_t quad = i % kInt4Step / 4, group = i % kInt4Step / kSumBlock;
    const int number = bits(quad_at(step, quad / 2, column)[i % 4], quad % 2 * 4, 4) - 8;
    const std::byte* scale = step + kInt4Step * kPanel / 2 + (group * kPanel + column) * 2;
    out[i] = static_cast<float>(number) * load_element(scale, DType::f16);
  }
}

}  // namespace

int64_t pack_scratch(const PanelTask& task) {
  return (static_cast<int64_t>(task.sources.size()) * task.k + task.n_in) * kPanel;
}

const MatrixView* pack_panel(const PanelTask& task, const KernelTable& kernels, float* scratch) {
  const auto n = static_cast<int64_t>(task.sources.size());
  if (n == 0 || task.k == 0) return nullptr;
  const int64_t part = task.k * kPanel;
  float* transposing = scratch + n * part;
  const auto encode = kernels.encode[static_cast<int>(task.type)];
  const bool scales_later = has_column_scales(task.type) && share_scales(task.sources);
  const auto panel = [&](int64_t s) { return task.destination + s * task.destination_stride; };
  for (int64_t s = 0; s < n; ++s) {
    float* rows = encode ? scratch + s * part : reinterpret_cast<float*>(panel(s));
    read_panel(*task.sources[s], task.out_begin, task.n_in, rows, transposing);
    if (task.sources[s]->scales && !scales_later) {
      scale_panel(*task.sources[s], task.out_begin, rows);
    }
    const auto* bytes = reinterpret_cast<const std::byte*>(rows);
    if (!all_finite(bytes, DType::f32, task.n_in * kPanel)) return task.sources[s];
    std::memset(rows + task.n_in * kPanel, 0, sizeof(float) * (task.k - task.n_in) * kPanel);
  }
  if (has_column_scales(task.type)) {
    column_scales(kernels, task.type, scratch, n * task.k, task.scales);
  }
  for (int64_t s = 0; s < n && encode; ++s) {
    encode(scratch + s * part, task.k, task.scales, panel(s));
  }
  if (scales_later) multiply_scales(task);
  return nullptr;
}

void unpack_output(const PackedMatrix& matrix, int64_t output, int64_t n, float* out) {
  const std::byte* panel = matrix.panel(output / kPanel);
  const int64_t column = output % kPanel;
  const float scale = matrix.scales ? matrix.scales[output] : 1;
  switch (matrix.type) {
    case WeightType::f32:
      return load_elements(panel + column * 4, DType::f32, kPanel, n, out);
    case WeightType::bf16:
      for (int64_t i = 0; i < n; ++i) {
        out[i] = load_element(quad_at(panel, i / 2, column) + i % 2 * 2, DType::bf16);
      }
      return;
    case WeightType::int8:
      for (int64_t i = 0; i < n; ++i) {
        const int number = std::to_integer<int>(quad_at(panel, i / 4, column)[i % 4]) - 128;
        out[i] = static_cast<float>(number) * scale;
      }
      return;
    case WeightType::int6:
      return unpack_int6(panel, column, scale, n, out);
    case WeightType::int4:
      return unpack_int4(panel, column, n, out);
  }
}

}  // namespace sentinel
