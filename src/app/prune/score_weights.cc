// Scores that need no text: random numbers and weight norms.
#include <cmath>

#include "app/prune/ranking.h"
#include "base/error.h"
#include "base/rng.h"

namespace sentinel {
namespace {

double squared_norm(const MatrixView& matrix) {
  // Along the axis that lies contiguous, so that each page is read once.
  const MatrixView lines = matrix.in_stride == 1 ? matrix : matrix.transposed();
  std::vector<float> line(static_cast<size_t>(lines.n_in));
  double sum = 0;
  for (int64_t i = 0; i < lines.n_out; ++i) {
    load_row(lines, i, line.data());
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
