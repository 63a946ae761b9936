// Weighted second moments of features x and targets y, and the losses that follow from them.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/types.h"

namespace sentinel {

// E is the weighted mean over rows.
struct Moments {
  int n_x = 0, n_y = 0;
  double weight = 0;                   // sum of the rows' weights
  std::vector<double> mean_x, mean_y;  // [n_x], [n_y]
  std::vector<double> xx;              // [n_x, n_x] E[(x - mean)(x - mean)'], symmetric
  std::vector<double> xy;              // [n_x, n_y] E[(x - mean)(y - mean)']
  double yy = 0;                       // E|y - mean|^2
};

// Products in f32 over blocks of rows, sums over the blocks in f64.
class MomentAccumulator {
 public:
  MomentAccumulator(int n_x, int n_y, const KernelTable& kernels, ThreadPool& pool);
  // x [rows, n_x], y [rows, n_y] (null if n_y is 0), weights [rows] >= 0 or null: 1 each.
  void add(const float* x, const float* y, const float* weights, int rows);
  Moments finish();

 private:
  void set_shift(const float* z, int n, int64_t begin, int rows);
  void add_panel(const float* z, int64_t stride, int width, int64_t panel,
                 const std::vector<std::pair<int, float>>& chosen);
  void flush();

  const int n_x_, n_y_;
  const int64_t columns_;  // n_x + n_y, each rounded up to panels
  const KernelTable& kernels_;
  ThreadPool& pool_;
  bool started_ = false;
  std::vector<float> shift_;      // [columns]: a mean of the first rows, taken off before products
  std::vector<double> sum_;       // [columns] of weight * (z - shift)
  std::vector<double> squares_;   // [columns] of weight * (z - shift)^2
  std::vector<double> products_;  // [n_x_padded, columns], upper part of the x columns
  double weight_ = 0;
  int pending_ = 0;                // rows in the block
  std::vector<float> panels_;      // [columns / 16][kBlock][16] sqrt(weight) * (z - shift)
  std::vector<float> transposed_;  // [n_x_padded][kStride], kBlock of them used
};

// y = W x + b as a sub-layer stores it: row j of w [n_x, n_y] belongs to feature j.
struct LinearMap {
  std::vector<float> w;     // [n_x, n_y]
  std::vector<float> bias;  // [n_y]
};

}  // namespace sentinel
