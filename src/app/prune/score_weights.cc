// Scores that need no text: random numbers and weight norms.
#include <cmath>

#include "app/prune/ranking.h"
#include "base/error.h"
#include "base/rng.h"

namespace sentinel {
namespace {

double squared_norm(const MatrixView& matrix) {
  // Rows are gathered along the axis that lies contiguous, so that each page is read once.
  const bool rows_contiguous = matrix.in_stride == 1;
  const int64_t lines = rows_contiguous ? matrix.n_out : matrix.n_in;
  const int64_t length = rows_contiguous ? matrix.n_in : matrix.n_out;
  const int64_t line_stride = rows_contiguous ? matrix.out_stride : matrix.in_stride;
  const int64_t stride = rows_contiguous ? matrix.in_stride : matrix.out_stride;
  const auto element = static_cast<int64_t>(size_of(matrix.dtype));
  std::vector<float> line(static_cast<size_t>(length));
  double sum = 0;
  for (int64_t i = 0; i < lines; ++i) {
    load_elements(matrix.data + i * line_stride * element, matrix.dtype, stride, length,
                  line.data());
    for (const float x : line) sum += static_cast<double>(x) * x;
  }
  return sum;
}

}  // namespace

HeadScores score_random(const RankingInput& input) {
  Rng rng(input.seed);
  HeadScores scores;
  for (const auto& layer : input.checkpoint->config().layers) {
    auto& row = scores.emplace_back();
    for (int head = 0; head < layer.n_heads; ++head) row.push_back(rng.uniform());
  }
  return scores;
}

HeadScores score_magnitude(const RankingInput& input) {
  HeadScores scores;
  for (const auto& layer : input.checkpoint->view().layers) {
    auto& row = scores.emplace_back();
    for (const auto& head : layer.heads) {
      throw_if_set(input.cancel);
      row.push_back(std::sqrt(squared_norm(head.q) + squared_norm(head.k) + squared_norm(head.v) +
                              squared_norm(head.o)));
    }
  }
  return scores;
}

}  // namespace sentinel
