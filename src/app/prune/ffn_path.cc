#include "app/prune/ffn_path.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"

namespace sentinel {
namespace {

constexpr std::string_view kNames[] = {"random", "magnitude", "output", "obs"};

double squared_norm(const float* row, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += double{row[i]} * row[i];
  return sum;
}

// The rows of kept neurons.
std::vector<float> rows_of(const std::vector<float>& w, const std::vector<int>& kept, int64_t d) {
  std::vector<float> out;
  out.reserve(kept.size() * static_cast<size_t>(d));
  for (const int j : kept) out.insert(out.end(), w.begin() + j * d, w.begin() + (j + 1) * d);
  return out;
}

}  // namespace

const char* to_string(FfnStrategy strategy) { return kNames[static_cast<int>(strategy)].data(); }

FfnStrategy parse_ffn_strategy(std::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == name) return static_cast<FfnStrategy>(i);
  }
  throw usage_error("ffn_strategy {}: no such strategy; choose random, magnitude, output or obs",
                    printable(name));
}

std::vector<double> neuron_scores(FfnStrategy strategy, const EditableLayer& layer,
                                  const Moments& moments, uint64_t seed, int layer_index) {
  const int n = layer.ffn_dim();
  const auto d = std::ssize(layer.down_bias);
  Rng rng(seed * 1'000'003 + static_cast<uint64_t>(layer_index));
  std::vector<double> scores;
  for (int64_t j = 0; j < n; ++j) {
    const double down = squared_norm(layer.down.data() + j * d, d);
    switch (strategy) {
      case FfnStrategy::random:
        scores.push_back(rng.uniform());
        break;
      case FfnStrategy::magnitude:
        scores.push_back(std::sqrt(down + squared_norm(layer.up.data() + j * d, d)));
        break;
      case FfnStrategy::output: {
        const double mean = moments.mean_x[j];
        scores.push_back(std::sqrt((moments.xx[j * n + j] + mean * mean) * down));
        break;
      }
      case FfnStrategy::obs:
        throw usage_error("obs has no scores that stay the same");
    }
  }
  return scores;
}

std::vector<int> ascending_order(const std::vector<double>& scores) {
  std::vector<int> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return scores[a] < scores[b]; });
  return order;
}

int FfnPath::removed_at(int level) const {
  return static_cast<int>(std::min<int64_t>(int64_t{level} * step, std::ssize(order)));
}

std::vector<int> FfnPath::kept(int level) const {
  std::vector<int> kept(order.begin() + removed_at(level), order.end());
  std::sort(kept.begin(), kept.end());
  return kept;
}

FfnPath obs_path(const EditableLayer& layer, const Moments& moments, Recover recover, double ridge,
                 int batch, int step, int levels) {
  const int n = layer.ffn_dim(), d = static_cast<int>(layer.down_bias.size());
  FfnPath path;
  path.step = step;
  OptimalRemoval state(moments, layer.down, d, ridge);
  LinearMap original{layer.down, layer.down_bias};
  const auto keep_level = [&] {
    std::vector<int> kept;
    std::vector<bool> gone(static_cast<size_t>(n), false);
    for (const int j : path.order) gone[j] = true;
    for (int j = 0; j < n; ++j) {
      if (!gone[j]) kept.push_back(j);
    }
    LinearMap map = recover == Recover::refit ? state.map() : original;
    if (recover == Recover::bias) {
      for (const int j : path.order) {
        for (int64_t o = 0; o < d; ++o) {
          map.bias[o] += static_cast<float>(moments.mean_x[j]) * layer.down[int64_t{j} * d + o];
        }
      }
    } else if (recover == Recover::refit) {
      // The state's targets are W x without the bias.
      for (int64_t o = 0; o < d; ++o) map.bias[o] += layer.down_bias[o];
    }
    path.maps.push_back({rows_of(map.w, kept, d), std::move(map.bias)});
  };
  keep_level();
  while (std::ssize(path.maps) <= levels && std::ssize(path.order) < n) {
    const auto goal = std::min<int64_t>(std::ssize(path.maps) * step, n);
    while (std::ssize(path.order) < goal) {
      const std::vector<int> cheapest = ascending_order(state.single_costs());
      const auto count = std::min<int64_t>(batch, goal - std::ssize(path.order));
      const std::span<const int> chosen = std::span(cheapest).first(static_cast<size_t>(count));
      state.remove(chosen);
      path.order.insert(path.order.end(), chosen.begin(), chosen.end());
    }
    keep_level();
  }
  // Neurons beyond the last level, so that the order holds every neuron once.
  std::vector<double> rest = state.single_costs();
  for (const int j : ascending_order(rest)) {
    if (std::isfinite(rest[j])) path.order.push_back(j);
  }
  return path;
}

}  // namespace sentinel
