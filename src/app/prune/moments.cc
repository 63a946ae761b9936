#include "app/prune/moments.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "app/prune/panels.h"
#include "model/packed_matrix.h"

namespace sentinel {
namespace {

constexpr int kBlock = 1024;          // rows whose products are summed in f32
constexpr int kStride = kBlock + 16;  // of transposed rows: a power of two would share cache sets
constexpr int kTaskRows = 96;

}  // namespace

MomentAccumulator::MomentAccumulator(int n_x, int n_y, const KernelTable& kernels, ThreadPool& pool)
    : n_x_(n_x),
      n_y_(n_y),
      columns_(round_up(n_x, kPanel) + round_up(n_y, kPanel)),
      kernels_(kernels),
      pool_(pool),
      shift_(static_cast<size_t>(columns_)),
      sum_(static_cast<size_t>(columns_)),
      squares_(static_cast<size_t>(columns_)),
      products_(static_cast<size_t>(round_up(n_x, kPanel) * columns_)),
      panels_(static_cast<size_t>(columns_) * kBlock),
      transposed_(static_cast<size_t>(round_up(n_x, kPanel)) * kStride) {}

// The mean of the first rows: products of what is left of them lose no digits to a large mean.
void MomentAccumulator::set_shift(const float* z, int n, int64_t begin, int rows) {
  std::vector<double> sums(static_cast<size_t>(n));
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < n; ++j) sums[j] += z[int64_t{r} * n + j];
  }
  for (int j = 0; j < n; ++j) shift_[begin + j] = static_cast<float>(sums[j] / rows);
}

void MomentAccumulator::add(const float* x, const float* y, const float* weights, int rows) {
  const int64_t y_begin = round_up(n_x_, kPanel);
  if (!started_ && rows > 0) {
    started_ = true;
    set_shift(x, n_x_, 0, rows);
    if (n_y_ > 0) set_shift(y, n_y_, y_begin, rows);
  }
  for (int next = 0; next < rows;) {
    // Rows that fit into the block; a row enters as sqrt(weight) * z.
    std::vector<std::pair<int, float>> chosen;
    for (; next < rows && pending_ + std::ssize(chosen) < kBlock; ++next) {
      const float weight = weights ? weights[next] : 1.0F;
      if (weight <= 0) continue;
      chosen.emplace_back(next, std::sqrt(weight));
      weight_ += weight;
    }
    pool_.run([&](int thread) {
      const Range mine = share(columns_ / kPanel, thread, pool_.size());
      for (int64_t p = mine.begin; p < mine.end; ++p) {
        const bool is_y = p * kPanel >= y_begin;
        const int64_t first = p * kPanel - (is_y ? y_begin : 0), n = is_y ? n_y_ : n_x_;
        add_panel((is_y ? y : x) + first, n, static_cast<int>(std::min<int64_t>(kPanel, n - first)),
                  p, chosen);
      }
    });
    pending_ += static_cast<int>(chosen.size());
    if (pending_ == kBlock) flush();
  }
}

// Columns [16 p, 16 p + width) of the chosen rows; z has the given stride. Sums over a block are in
// f32, like its products.
void MomentAccumulator::add_panel(const float* z, int64_t stride, int width, int64_t p,
                                  const std::vector<std::pair<int, float>>& chosen) {
  float* to = panels_.data() + (p * kBlock + pending_) * kPanel;
  const float* shift = shift_.data() + p * kPanel;
  float sums[kPanel] = {}, squares[kPanel] = {};
  const auto add_row = [&](const float* from, float root, int n) {
    for (int c = 0; c < n; ++c) {
      to[c] = root * (from[c] - shift[c]);
      sums[c] += root * to[c];
      squares[c] += to[c] * to[c];
    }
    to += kPanel;
  };
  for (const auto& [row, root] : chosen) {
    const float* from = z + row * stride;
    if (width == kPanel) {
      add_row(from, root, kPanel);  // of a length that the compiler knows
    } else {
      add_row(from, root, width);
    }
  }
  for (int c = 0; c < width; ++c) {
    sum_[p * kPanel + c] += sums[c];
    squares_[p * kPanel + c] += squares[c];
  }
}

void MomentAccumulator::flush() {
  if (pending_ == 0) return;
  const int64_t n_x_padded = round_up(n_x_, kPanel), n_panels = columns_ / kPanel;
  const int64_t x_panels = n_x_padded / kPanel;
  std::atomic<int64_t> next_panel{0}, next_task{0};
  const int64_t n_tasks = (n_x_padded + kTaskRows - 1) / kTaskRows;
  const int rows = pending_;
  const auto block_size = static_cast<size_t>(kTaskRows * columns_);
  std::vector<float> blocks(static_cast<size_t>(pool_.size()) * block_size);
  pool_.run([&](int) {
    for (int64_t p; (p = next_panel.fetch_add(1)) < x_panels;) {
      for (int k = 0; k < rows; ++k) {
        const float* from = panels_.data() + (p * kBlock + k) * kPanel;
        for (int c = 0; c < kPanel; ++c) transposed_[(p * kPanel + c) * kStride + k] = from[c];
      }
    }
  });
  pool_.run([&](int thread) {
    float* const block = blocks.data() + static_cast<size_t>(thread) * block_size;
    const Segment segment{0, 0, rows};
    for (int64_t task; (task = next_task.fetch_add(1)) < n_tasks;) {
      const int64_t first = task * kTaskRows;
      const auto count = static_cast<int>(std::min<int64_t>(kTaskRows, n_x_padded - first));
      const LinearArgs args = f32_product(panels_.data(), int64_t{kBlock} * kPanel, segment,
                                          transposed_.data() + first * kStride, kStride, count,
                                          block, columns_, columns_);
      const int64_t begin = first / kPanel;  // columns left of the diagonal follow by symmetry
      run_f32(kernels_, args, begin, n_panels);
      for (int r = 0; r < args.rows; ++r) {
        double* to = products_.data() + (first + r) * columns_;
        const float* from = block + r * columns_;
        for (int64_t c = begin * kPanel; c < columns_; ++c) to[c] += from[c];
      }
    }
  });
  pending_ = 0;
}

Moments MomentAccumulator::finish() {
  flush();
  Moments m;
  m.n_x = n_x_;
  m.n_y = n_y_;
  m.weight = weight_;
  const double scale = weight_ > 0 ? 1 / weight_ : 0;
  const int64_t y_begin = round_up(n_x_, kPanel);
  std::vector<double> mean(static_cast<size_t>(columns_));
  for (int64_t c = 0; c < columns_; ++c) mean[c] = sum_[c] * scale;
  for (int j = 0; j < n_x_; ++j) m.mean_x.push_back(mean[j] + shift_[j]);
  for (int j = 0; j < n_y_; ++j) m.mean_y.push_back(mean[y_begin + j] + shift_[y_begin + j]);
  m.xx.resize(static_cast<size_t>(n_x_) * n_x_);
  m.xy.resize(static_cast<size_t>(n_x_) * n_y_);
  for (int64_t i = 0; i < n_x_; ++i) {
    const double* row = products_.data() + i * columns_;
    for (int64_t j = i; j < n_x_; ++j) {
      m.xx[i * n_x_ + j] = m.xx[j * n_x_ + i] = row[j] * scale - mean[i] * mean[j];
    }
    for (int64_t j = 0; j < n_y_; ++j) {
      m.xy[i * n_y_ + j] = row[y_begin + j] * scale - mean[i] * mean[y_begin + j];
    }
  }
  for (int64_t c = y_begin; c < columns_; ++c) m.yy += squares_[c] * scale - mean[c] * mean[c];
  return m;
}

}  // namespace sentinel
