// Mean norm of every head's contribution to the residual stream.
#include <algorithm>
#include <cmath>

#include "app/prune/ranking.h"
#include "base/error.h"

namespace sentinel {
namespace {

// |Wo c|^2 = c' (Wo' Wo) c: with the Gram matrix [head_dim, head_dim] of a head's Wo columns a
// token costs head_dim^2 instead of d_model * head_dim.
std::vector<float> gram_matrix(const MatrixView& o) {
  const int64_t dim = o.n_in;
  std::vector<float> row(static_cast<size_t>(dim));
  std::vector<double> sums(static_cast<size_t>(dim * dim));
  for (int64_t out = 0; out < o.n_out; ++out) {
    load_row(o, out, row.data());
    for (int64_t i = 0; i < dim; ++i) {
      for (int64_t j = 0; j < dim; ++j) sums[i * dim + j] += static_cast<double>(row[i]) * row[j];
    }
  }
  return {sums.begin(), sums.end()};
}

class OutputNorms : public Observer {
 public:
  explicit OutputNorms(const Checkpoint& checkpoint) : head_dim_(checkpoint.config().head_dim) {
    for (const auto& layer : checkpoint.view().layers) {
      auto& grams = grams_.emplace_back();
      for (const auto& head : layer.heads) grams.push_back(gram_matrix(head.o));
      sums_.emplace_back(layer.heads.size(), 0.0);
      rows_.push_back(0);
    }
  }

  // Position 0 is left out, as in all statistics: a head that looks at it alone says nothing.
  void on_attention(int layer, int first_position, int rows, const float* context, int64_t stride,
                    const float* /*entropy*/) override {
    const int first = first_position == 0 ? 1 : 0;
    for (size_t head = 0; head < grams_[layer].size(); ++head) {
      double sum = 0;
      for (int row = first; row < rows; ++row) {
        sum += norm(grams_[layer][head],
                    context + row * stride + static_cast<int64_t>(head) * head_dim_);
      }
      sums_[layer][head] += sum;
    }
    rows_[layer] += std::max(rows - first, 0);
  }
  void on_ffn(int, int, int, const float*, int64_t) override {}

  HeadScores means() const {
    HeadScores means = sums_;
    for (size_t layer = 0; layer < means.size(); ++layer) {
      for (double& mean : means[layer])
        mean /= static_cast<double>(std::max<int64_t>(rows_[layer], 1));
    }
    return means;
  }

 private:
  double norm(const std::vector<float>& gram, const float* c) const {
    float sum = 0;
    for (int64_t i = 0; i < head_dim_; ++i) {
      float dot = 0;
      for (int64_t j = 0; j < head_dim_; ++j) dot += gram[i * head_dim_ + j] * c[j];
      sum += dot * c[i];
    }
    return std::sqrt(std::max(static_cast<double>(sum), 0.0));
  }

  int64_t head_dim_;
  std::vector<std::vector<std::vector<float>>> grams_;  // [layer][head] of [head_dim, head_dim]
  HeadScores sums_;
  std::vector<int64_t> rows_;  // [layer] tokens seen
};

}  // namespace

HeadScores score_output(const RankingInput& input) {
  OutputNorms norms(*input.checkpoint);
  const size_t window = input.window_size();
  const auto session = input.model->new_session(1, static_cast<int>(window));
  session->set_observer(&norms);
  for (size_t begin = 0; begin < input.calibration.size(); begin += window) {
    throw_if_set(input.cancel);
    session->truncate(0, 0);
    const auto count = std::min(window, input.calibration.size() - begin);
    session->prefill(0, input.calibration.subspan(begin, count), static_cast<float*>(nullptr));
  }
  return norms.means();
}

}  // namespace sentinel
