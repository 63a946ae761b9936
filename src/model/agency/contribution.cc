#include "model/agency/contribution.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "model/packed_matrix.h"

namespace sentinel {
namespace {

// Four floats in one baseline register: compilers do not find the vectors in the loop below.
using Quad = float __attribute__((vector_size(16)));

int64_t triangle_size(int d) {
  int64_t rows = 0;
  for (int first = 0; first < d; first += kPanel) rows += std::min(first + kPanel, d);
  return rows * kPanel;
}

// One thread's space for the Gram matrix of one head.
class Gram {
 public:
  Gram(int d, int d_model)
      : d_(d),
        d_model_(d_model),
        width_(round_up(d, kPanel)),
        rows_((width_ + kOverread) * d_model),
        panels_(width_ * d_model),
        product_(width_ * width_) {}

  // The upper triangle, off-diagonal entries doubled, to `out`.
  void run(const MatrixView& o, const KernelTable& kernels, float* out) {
    load(o);
    const Segment segment{0, 0, static_cast<int32_t>(d_model_)};
    LinearArgs args{};
    args.weights = reinterpret_cast<const std::byte*>(panels_.data());
    args.panel_stride = d_model_ * kPanel * static_cast<int64_t>(sizeof(float));
    args.segments = &segment;
    args.n_segments = 1;
    args.x.data = reinterpret_cast<std::byte*>(rows_.data());
    args.x.stride = d_model_ * static_cast<int64_t>(sizeof(float));
    args.rows = static_cast<int>(d_);
    args.y = product_.data();
    args.y_stride = width_;
    args.n_out = width_;
    args.epilogue = Epilogue::store;
    kernels.linear[static_cast<int>(WeightType::f32)](args, 0, width_ / kPanel);
    for (int64_t first = 0; first < d_; first += kPanel) {
      const int64_t end = std::min(first + kPanel, d_);
      for (int64_t i = 0; i < end; ++i) {
        for (int64_t j = first; j < first + kPanel; ++j) {
          *out++ = j >= end || j < i ? 0 : (i == j ? 1 : 2) * product_[i * width_ + j];
        }
      }
    }
  }

 private:
  // rows_[i] = column i of Wo_h, and the same as panels of 16 columns.
  void load(const MatrixView& o) {
    const MatrixView columns = o.transposed();
    for (int64_t i = 0; i < d_; ++i) {
      float* row = rows_.data() + i * d_model_;
      load_row(columns, i, row);
      float* column = panels_.data() + i / kPanel * d_model_ * kPanel + i % kPanel;
      for (int64_t k = 0; k < d_model_; ++k) column[k * kPanel] = row[k];
    }
  }

  const int64_t d_, d_model_, width_;
  std::vector<float> rows_, panels_, product_;
};

}  // namespace

ContributionNorms::ContributionNorms(const Checkpoint& checkpoint, const KernelTable& kernels,
                                     ThreadPool& pool)
    : head_dim_(checkpoint.config().head_dim), triangle_size_(triangle_size(head_dim_)) {
  std::vector<const MatrixView*> views;
  for (const LayerView& layer : checkpoint.view().layers) {
    first_head_.push_back(std::ssize(views));
    for (const HeadView& head : layer.heads) views.push_back(&head.o);
  }
  triangles_.resize(views.size() * static_cast<size_t>(triangle_size_));
  std::vector<Gram> grams(pool.size(), Gram(head_dim_, checkpoint.config().d_model));
  pool.run([&](int thread) {
    const Range mine = share(std::ssize(views), thread, pool.size());
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      grams[thread].run(*views[i], kernels, triangles_.data() + i * triangle_size_);
    }
  });
  checkpoint.release_pages();
}

float ContributionNorms::norm(int layer, int head, const float* context) const {
  const float* block = triangles_.data() + (first_head_[layer] + head) * triangle_size_;
  // Weights have swept it out of the caches since the last step: ask for all of it at once, which
  // is quicker than what the hardware guesses over 10 KB.
  for (int64_t i = 0; i < triangle_size_; i += kPanel) __builtin_prefetch(block + i);
  float total = 0;
  for (int first = 0; first < head_dim_; first += kPanel) {
    const int end = std::min(first + kPanel, head_dim_);
    Quad sums[kPanel / 4] = {};  // of the columns first, first + 1, ...
    for (int i = 0; i < end; ++i, block += kPanel) {
      Quad row[kPanel / 4];
      std::memcpy(row, block, sizeof(row));
      for (int q = 0; q < kPanel / 4; ++q) sums[q] += context[i] * row[q];
    }
    for (int c = first; c < end; ++c) total += context[c] * sums[(c - first) / 4][(c - first) % 4];
  }
  return std::sqrt(std::max(0.0F, total));
}

}  // namespace sentinel
