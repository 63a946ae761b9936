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

}  // namespace sentinel
