// Channels that a layer norm makes large and the matrices behind it make small again: numbers of
// few bits lose both sides of them.
#pragma once

#include <span>
#include <vector>

#include "model/weight_views.h"

namespace sentinel {

// What the norm's weight and bias may be divided by, and the inputs of `matrices` [any, d_model]
// multiplied with, so that the function stays and such channels become like others; [d_model],
// empty: there are none. Data-free and one-sided, unlike SmoothQuant (Xiao et al. 2023): a channel
// goes no further than to the median channel on either side, so no other one's range grows.
std::vector<float> outlier_factors(std::span<const float> norm_weight,
                                   std::span<const float> norm_bias,
                                   std::span<const MatrixView> matrices);

// A layer's norms divided by those factors, and what its matrices' inputs are multiplied with.
struct EvenedLayer {
  std::vector<float> norm1_weight, norm1_bias, norm2_weight, norm2_bias;  // [d_model]
  std::vector<float> qkv_factors, up_factors;                             // empty: none

  // The same function in views of this object and of the layer's own data.
  void apply_to(LayerView& layer) const;
};
// Of int8 numbers, which were evened out before they were rounded, the norms as they are.
EvenedLayer even_out(const LayerView& layer);

// All layers of a model; the view refers to both.
struct EvenedModel {
  explicit EvenedModel(const ModelView& model);
  std::vector<EvenedLayer> layers;
  ModelView view;
};

}  // namespace sentinel
