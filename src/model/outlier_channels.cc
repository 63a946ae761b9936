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

// The median over these channels; a sample of them, as reading all takes as long as packing.
float usual_width(std::span<const MatrixView> columns, std::span<const size_t> channels) {
  constexpr size_t kSample = 64;
  std::vector<float> widths;
  const size_t step = std::max<size_t>(1, channels.size() / kSample);
  for (size_t i = 0; i < channels.size(); i += step) {
    widths.push_back(widest_weight(columns, channels[i]));
  }
  return median(std::move(widths));
}

}  // namespace

std::vector<float> outlier_factors(std::span<const float> norm_weight,
                                   std::span<const float> norm_bias,
                                   std::span<const MatrixView> matrices) {
  std::vector<float> size(norm_weight.size());
  for (size_t i = 0; i < size.size(); ++i) {
    size[i] = std::max(std::fabs(norm_weight[i]), std::fabs(norm_bias[i]));
    // Whoever reads the norm says so; there is no median of NaN.
    if (!std::isfinite(norm_weight[i]) || !std::isfinite(norm_bias[i])) return {};
  }
  const float usual_size = median(size);
  std::vector<size_t> large, others;
  for (size_t i = 0; i < size.size(); ++i) {
    (size[i] / kLeast >= usual_size ? large : others).push_back(i);
  }
  if (large.empty() || others.empty()) return {};
  std::vector<MatrixView> columns;
  for (const MatrixView& matrix : matrices) columns.push_back(matrix.transposed());
  const float usual = usual_width(columns, others);
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

namespace {

// Divides the norm by the factors that it returns.
std::vector<float> even_out_norm(std::vector<float>& weight, std::vector<float>& bias,
                                 std::span<const MatrixView> matrices) {
  std::vector<float> factors = outlier_factors(weight, bias, matrices);
  for (size_t i = 0; i < factors.size(); ++i) {
    weight[i] /= factors[i];
    bias[i] /= factors[i];
  }
  return factors;
}

void scale_inputs(const std::vector<float>& factors, MatrixView& matrix) {
  if (factors.empty()) return;
  matrix.scales = factors.data();
  matrix.scale_out_stride = 0;
  matrix.scale_in_stride = 1;
}

void replace(const std::vector<float>& values, VectorView& view) {
  view.data = reinterpret_cast<const std::byte*>(values.data());
  view.dtype = DType::f32;
}

}  // namespace

EvenedLayer even_out(const LayerView& layer) {
  EvenedLayer out{layer.norm1_weight.to_floats(),
                  layer.norm1_bias.to_floats(),
                  layer.norm2_weight.to_floats(),
                  layer.norm2_bias.to_floats(),
                  {},
                  {}};
  std::vector<MatrixView> matrices;
  for (const HeadView& head : layer.heads) {
    matrices.insert(matrices.end(), {head.q, head.k, head.v});
  }
  const auto is_rounded = [](const MatrixView& m) { return m.scales != nullptr; };
  if (std::none_of(matrices.begin(), matrices.end(), is_rounded)) {
    out.qkv_factors = even_out_norm(out.norm1_weight, out.norm1_bias, matrices);
  }
  if (!is_rounded(layer.up)) {
    out.up_factors = even_out_norm(out.norm2_weight, out.norm2_bias, {&layer.up, 1});
  }
  return out;
}

void EvenedLayer::apply_to(LayerView& layer) const {
  replace(norm1_weight, layer.norm1_weight);
  replace(norm1_bias, layer.norm1_bias);
  replace(norm2_weight, layer.norm2_weight);
  replace(norm2_bias, layer.norm2_bias);
  for (HeadView& head : layer.heads) {
    for (MatrixView* matrix : {&head.q, &head.k, &head.v}) scale_inputs(qkv_factors, *matrix);
  }
  scale_inputs(up_factors, layer.up);
}

EvenedModel::EvenedModel(const ModelView& model) : view(model) {
  layers.reserve(model.layers.size());
  for (LayerView& layer : view.layers) {
    layers.push_back(even_out(layer));
    layers.back().apply_to(layer);
  }
}

}  // namespace sentinel
