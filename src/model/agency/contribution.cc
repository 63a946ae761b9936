#include "model/agency/contribution.h"

#include <algorithm>
#include <cmath>

#include "model/packed_matrix.h"

namespace sentinel {
namespace {

constexpr int64_t kOverread = 31;  // rows that kernels may read behind an operand's last

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
    for (int64_t i = 0; i < d_; ++i) {
      for (int64_t j = i; j < d_; ++j) *out++ = (i == j ? 1 : 2) * product_[i * width_ + j];
    }
  }

 private:
  // rows_[i] = column i of Wo_h, and the same as panels of 16 columns.
  void load(const MatrixView& o) {
    const auto size = static_cast<int64_t>(size_of(o.dtype));
    for (int64_t i = 0; i < d_; ++i) {
      float* row = rows_.data() + i * d_model_;
      load_elements(o.data + i * o.in_stride * size, o.dtype, o.out_stride, d_model_, row);
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
    : head_dim_(checkpoint.config().head_dim),
      triangle_size_(int64_t{head_dim_} * (head_dim_ + 1) / 2) {
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
  constexpr int kLanes = 8;  // independent sums, so that the compiler can use vectors
  const float* row = triangle(layer, head);
  float total = 0;
  for (int i = 0; i < head_dim_; ++i) {
    const int n = head_dim_ - i;
    const float* c = context + i;
    float sum[kLanes] = {};
    int j = 0;
    for (; j + kLanes <= n; j += kLanes) {
      for (int u = 0; u < kLanes; ++u) sum[u] += row[j + u] * c[j + u];
    }
    for (; j < n; ++j) sum[0] += row[j] * c[j];
    float dot = 0;
    for (const float s : sum) dot += s;
    total += c[0] * dot;
    row += n;
  }
  return std::sqrt(std::max(0.0F, total));
}

}  // namespace sentinel
