// A checkpoint's parameters as plain floats, for the reference model.
#pragma once

#include <cstdint>
#include <vector>

#include "model/checkpoint/checkpoint.h"

namespace sentinel {
namespace reference {

struct Matrix {
  std::vector<float> values;  // [n_out, n_in] row-major
  int64_t n_out = 0, n_in = 0;
  const float* row(int64_t o) const { return values.data() + o * n_in; }
};

struct HeadParameters {
  Matrix q, k, v, o;
  std::vector<float> q_bias, k_bias, v_bias;
};

struct LayerParameters {
  std::vector<float> norm1_weight, norm1_bias, norm2_weight, norm2_bias;
  std::vector<HeadParameters> heads;
  std::vector<float> o_bias;
  Matrix up, down;
  std::vector<float> up_bias, down_bias;
};

struct Parameters {
  Matrix token_embedding, position_embedding, lm_head;
  std::vector<LayerParameters> layers;
  std::vector<float> final_norm_weight, final_norm_bias;
  bool tied = true;

  // Error (bad_input): NaN or infinity.
  explicit Parameters(const Checkpoint& checkpoint);
  const Matrix& head() const { return tied ? token_embedding : lm_head; }
};

}  // namespace reference
}  // namespace sentinel
