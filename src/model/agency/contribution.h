// How much a head adds to the residual stream: ||Wo_h c|| without the product with Wo_h.
#pragma once

#include <vector>

#include "base/thread_pool.h"
#include "kernels/types.h"
#include "model/checkpoint/checkpoint.h"

namespace sentinel {

// ||W c||^2 = c' (W' W) c: the d x d Gram matrix of a head's d_model x d columns of Wo is made once,
// its upper triangle kept (f32, off-diagonal entries doubled). GPT-2 small: 1.2 MB in all, 0.2 % of
// what a decode step reads in f32.
class ContributionNorms {
 public:
  // From the checkpoint's own Wo, whatever type the weights are packed in.
  ContributionNorms(const Checkpoint& checkpoint, const KernelTable& kernels, ThreadPool& pool);

  // context [head_dim], already scaled by the head's factor.
  float norm(int layer, int head, const float* context) const;
  int64_t bytes() const { return static_cast<int64_t>(triangles_.size() * sizeof(float)); }

 private:
  const float* triangle(int layer, int head) const {
    return triangles_.data() + (first_head_[layer] + head) * triangle_size_;
  }

  int head_dim_;
  int64_t triangle_size_;
  std::vector<int64_t> first_head_;  // [n_layers]
  std::vector<float> triangles_;     // per head: rows i of entries (i, j), j >= i
};

}  // namespace sentinel
