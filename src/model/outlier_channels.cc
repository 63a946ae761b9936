#include "model/outlier_channels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace sentinel {
namespace {

constexpr float kLeast = 2;  // smaller factors gain less than a bit

// The upper one of two.
float median(std::vector<float> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

float widest_weight(std::span<const MatrixView> columns, size_t channel) {
  float widest = 0;
  std::vector<float> weights;
  for (const MatrixView& of_matrix : columns) {
    weights.resize(static_cast<size_t>(of_matrix.n_in));
    load_row(of_matrix, static_cast<int64_t>(channel), weights.data());
    for (const float w : weights) widest = std::max(widest, std::fabs(w));
  }
  return widest;
}

// The median over channels; a sample of them, as reading all takes as long as packing.
float usual_width(std::span<const MatrixView> columns, size_t n) {
  constexpr size_t kSample = 64;
  std::vector<float> widths;
  const size_t step = std::max<size_t>(1, n / kSample);
  for (size_t i = 0; i < n; i += step) widths.push_back(widest_weight(columns, i));
  return median(std::move(widths));
}

}  // namespace

std::vector<float> outlier_factors(std::span<const float> norm_weight,
                                   std::span<const float> norm_bias,
                                   std::span<const MatrixView> matrices) {
  std::vector<float> size(norm_weight.size());
  for (size_t i = 0; i < size.size(); ++i) {
    size[i] = std::max(std::fabs(norm_weight[i]), std::fabs(norm_bias[i]));
  }
  const float usual_size = median(size);
  std::vector<size_t> large;
  for (size_t i = 0; i < size.size(); ++i) {
    if (size[i] / kLeast >= usual_size) large.push_back(i);
  }
  if (large.empty() || usual_size == 0) return {};
  std::vector<MatrixView> columns;
  for (const MatrixView& matrix : matrices) columns.push_back(matrix.transposed());
  const float usual = usual_width(columns, size.size());
  std::vector<float> factors(size.size(), 1.0F);
  bool any = false;
  for (const size_t i : large) {
    const float width = widest_weight(columns, i);
    const float room = width > 0 ? usual / width : std::numeric_limits<float>::infinity();
    const float factor = std::min(size[i] / usual_size, room);
    if (!(factor >= kLeast) || !std::isfinite(factor)) continue;
    factors[i] = factor;
    any = true;
  }
  return any ? factors : std::vector<float>();
}

}  // namespace sentinel
