#include "model/weight_views.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/bf16.h"
#include "base/error.h"

namespace sentinel {
namespace {

// Tensors of a file may stand at any byte address, so every access goes through memcpy.
template <typename T>
T load_unaligned(const std::byte* data) {
  T value;
  std::memcpy(&value, data, sizeof(T));
  return value;
}

// Branch-free so that loops over it vectorise: the multiplication moves the exponent's bias from
// 15 to 127 and normalises subnormals exactly; all-ones exponents are put back by hand.
inline float from_f16(uint16_t half) {
  const uint32_t sign = (half & 0x8000U) << 16;
  const uint32_t magnitude = half & 0x7fffU;
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112F;
  const uint32_t special = magnitude >= 0x7c00U ? 0x7f800000U : 0U;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(scaled) | special | sign);
}

// Not base/bf16.h's: weights of a file may be NaN.
inline uint16_t to_bf16_or_nan(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U)
    return static_cast<uint16_t>((bits >> 16) | 0x40U);  // NaN
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

// Round to nearest, ties to even; beyond the range: infinity.
inline uint16_t to_f16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
  const uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return sign | 0x7e00U;
  if (magnitude >= 0x477ff000U) return sign | 0x7c00U;  // 65520 and more
  if (magnitude < 0x38800000U) {
    // Below 2^-14: adding 0.5 aligns the last bit kept to the half's subnormal step of 2^-24.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return sign | static_cast<uint16_t>(std::bit_cast<uint32_t>(shifted) - 0x3f000000U);
  }
  const uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13) & 1U);
  return sign | static_cast<uint16_t>((rounded - 0x38000000U) >> 13);
}

template <typename T, typename Convert>
void load_loop(const std::byte* data, int64_t stride, int64_t count, float* out, Convert convert) {
  if (stride == 1) {
    for (int64_t i = 0; i < count; ++i) {
      out[i] = convert(load_unaligned<T>(data + i * int64_t{sizeof(T)}));
    }
    return;
  }
  const int64_t step = stride * int64_t{sizeof(T)};
  for (int64_t i = 0; i < count; ++i) out[i] = convert(load_unaligned<T>(data + i * step));
}

template <typename T>
bool all_below(const std::byte* data, int64_t count, T exponent) {
  constexpr int64_t kBlock = 4096;  // long enough to vectorise, short enough to stop early
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, count);
    T bad = 0;
    for (int64_t i = begin; i < end; ++i) {
      const T bits = load_unaligned<T>(data + i * int64_t{sizeof(T)});
      bad |= static_cast<T>((bits & exponent) == exponent);
    }
    if (bad != 0) return false;
  }
  return true;
}

}  // namespace

const char* to_string(DType type) {
  switch (type) {
    case DType::f32:
      return "f32";
    case DType::f16:
      return "f16";
    case DType::bf16:
      return "bf16";
    case DType::int8:
      return "int8";
  }
  return "f32";
}

std::optional<DType> parse_dtype(const std::string& name) {
  if (name.empty()) return std::nullopt;
  for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::int8}) {
    if (name == to_string(type)) return type;
  }
  throw usage_error("dtype: unknown value \"{}\"; choose one of f32, f16, bf16, int8",
                    printable(name));
}

size_t size_of(DType type) { return type == DType::f32 ? 4 : type == DType::int8 ? 1 : 2; }

float load_element(const std::byte* data, DType type) {
  switch (type) {
    case DType::f16:
      return from_f16(load_unaligned<uint16_t>(data));
    case DType::bf16:
      return from_bf16(load_unaligned<uint16_t>(data));
    case DType::int8:
      return static_cast<float>(load_unaligned<int8_t>(data));
    case DType::f32:
      break;
  }
  return load_unaligned<float>(data);
}

void load_elements(const std::byte* data, DType type, int64_t stride, int64_t count, float* out) {
  switch (type) {
    case DType::f16:
      return load_loop<uint16_t>(data, stride, count, out, from_f16);
    case DType::bf16:
      return load_loop<uint16_t>(data, stride, count, out, from_bf16);
    case DType::int8:
      return load_loop<int8_t>(data, stride, count, out,
                               [](int8_t x) { return static_cast<float>(x); });
    case DType::f32:
      break;
  }
  if (stride == 1) {
    if (count > 0) std::memcpy(out, data, static_cast<size_t>(count) * sizeof(float));
    return;
  }
  load_loop<float>(data, stride, count, out, [](float value) { return value; });
}

void load_row(const MatrixView& matrix, int64_t row, float* out) {
  const auto element = static_cast<int64_t>(size_of(matrix.dtype));
  load_elements(matrix.data + row * matrix.out_stride * element, matrix.dtype, matrix.in_stride,
                matrix.n_in, out);
  scale_row(matrix, row, matrix.n_in, out);
}

void scale_row(const MatrixView& matrix, int64_t row, int64_t count, float* values) {
  if (!matrix.scales) return;
  const float* scales = matrix.scales + row * matrix.scale_out_stride;
  for (int64_t i = 0; i < count; ++i) values[i] *= scales[i * matrix.scale_in_stride];
}

void store_elements(const float* in, DType type, int64_t count, std::byte* out) {
  if (count <= 0) return;
  if (type == DType::f32) {
    std::memcpy(out, in, static_cast<size_t>(count) * sizeof(float));
    return;
  }
  if (type == DType::int8) {
    for (int64_t i = 0; i < count; ++i) {
      out[i] = std::byte(
          static_cast<int8_t>(std::nearbyint(std::max(-127.0F, std::min(127.0F, in[i])))));
    }
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const uint16_t bits = type == DType::f16 ? to_f16(in[i]) : to_bf16_or_nan(in[i]);
    std::memcpy(out + i * 2, &bits, sizeof(bits));
  }
}

bool all_finite(const std::byte* data, DType type, int64_t count) {
  switch (type) {
    case DType::f16:
      return all_below<uint16_t>(data, count, 0x7c00U);
    case DType::bf16:
      return all_below<uint16_t>(data, count, 0x7f80U);
    case DType::int8:
      return true;
    case DType::f32:
      break;
  }
  return all_below<uint32_t>(data, count, 0x7f800000U);
}

float MatrixView::at(int64_t out, int64_t in) const {
  const int64_t index = out * out_stride + in * in_stride;
  const float value = load_element(data + index * static_cast<int64_t>(size_of(dtype)), dtype);
  return scales ? value * scales[out * scale_out_stride + in * scale_in_stride] : value;
}

MatrixView MatrixView::transposed() const {
  MatrixView view = *this;
  std::swap(view.n_out, view.n_in);
  std::swap(view.out_stride, view.in_stride);
  std::swap(view.scale_out_stride, view.scale_in_stride);
  return view;
}

MatrixView MatrixView::outputs(int64_t first, int64_t count) const {
  MatrixView view = *this;
  view.data += first * out_stride * static_cast<int64_t>(size_of(dtype));
  view.n_out = count;
  if (scales) view.scales += first * scale_out_stride;
  return view;
}

MatrixView MatrixView::inputs(int64_t first, int64_t count) const {
  return transposed().outputs(first, count).transposed();
}

VectorView VectorView::part(int64_t first, int64_t count) const {
  VectorView view = *this;
  view.data += first * static_cast<int64_t>(size_of(dtype));
  view.n = count;
  return view;
}

float VectorView::at(int64_t i) const {
  return load_element(data + i * static_cast<int64_t>(size_of(dtype)), dtype);
}

std::vector<float> VectorView::to_floats() const {
  std::vector<float> values(static_cast<size_t>(n));
  load_elements(data, dtype, 1, n, values.data());
  return values;
}

}  // namespace sentinel
