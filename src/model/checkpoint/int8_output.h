// Matrices of a checkpoint in int8: whole numbers from -127 to 127 and a scale for each output.
#pragma once

#include <string>
#include <vector>

#include "model/checkpoint/writer.h"

namespace sentinel {

// What maps an output's weight of largest magnitude to 127, as packing does.
struct Int8Scale {
  explicit Int8Scale(float widest)
      : scale(widest / 127), inverse(scale > 0 ? 1 / scale : 0) {}  // widest: >= 0
  float scale, inverse;
};

// The two tensors that stand for a matrix of floats: itself as numbers, and NAME_scale, of shape
// [n, 1] or [1, n], so that numbers * scales, as numpy broadcasts, are the weights. `output_axis`:
// which of its axes counts the outputs. Its producer is called twice.
void add_int8(OutputTensor matrix, size_t output_axis, std::vector<OutputTensor>& out);

// Rounds values [n_out, n_in], or [n_in, n_out] with output_axis 1, to what add_int8() stores.
// Error (runtime): `name` holds NaN or infinity.
void round_to_int8(std::vector<float>& values, int64_t columns, size_t output_axis,
                   const std::string& name);

}  // namespace sentinel
