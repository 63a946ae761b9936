// A head that is closed leaves its mean: what it adds on average, measured on a calibration text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/agency/head_table.h"
#include "model/checkpoint/checkpoint.h"

namespace sentinel {

// Calibration statistics of one model.
struct HeadMeans {
  std::string text_sha256;  // of the calibration text
  int64_t tokens = 0;       // averaged over
  // [n_layers][n_heads * head_dim] mean of softmax(q k') v of each head, all heads open.
  std::vector<std::vector<float>> layers;
};

// Wo_h mean_h of every head.
class MeanOutputs {
 public:
  // Error (usage): means of a model of another shape.
  MeanOutputs(const Checkpoint& checkpoint, const HeadMeans& means);
  // bias [d_model] += sum over the layer's heads of (1 - f g) Wo_h mean_h.
  void add(int layer, const HeadTable& heads, float* bias) const;

 private:
  int64_t d_model_;
  std::vector<std::vector<float>> outputs_;  // [n_layers][n_heads * d_model]
};

}  // namespace sentinel
