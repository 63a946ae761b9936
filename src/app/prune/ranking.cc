#include "app/prune/ranking.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace sentinel {
namespace {

constexpr std::array kStrategies = {
    RankingStrategy{"random", "uniform random numbers from the seed", false, score_random},
    RankingStrategy{"magnitude",
                    "Frobenius norm of the head's weights: sqrt(|Wq|^2 + |Wk|^2 + |Wv|^2 + |Wo|^2)",
                    false, score_magnitude},
    RankingStrategy{
        "output",
        "mean over calibration tokens of the L2 norm of the head's contribution f g Wo ctx", true,
        score_output},
    RankingStrategy{"entropy",
                    "minus the mean attention entropy (nats) over calibration tokens: even "
                    "attention goes first",
                    true, score_entropy},
    RankingStrategy{"ablation",
                    "growth of the mean loss (nats per token) on calibration windows without the "
                    "head",
                    true, score_ablation},
    RankingStrategy{"obs",
                    "growth of the mean loss (nats per token) on calibration windows without the "
                    "head, its layer's other heads refitted by least squares",
                    true, score_obs},
};

}  // namespace

std::span<const RankingStrategy> ranking_strategies() { return kStrategies; }

const RankingStrategy& find_ranking_strategy(std::string_view name) {
  std::string names;
  for (const auto& strategy : kStrategies) {
    if (strategy.name == name) return strategy;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", strategy.name);
  }
  throw usage_error("strategy {}: no such strategy; choose one of {}", printable(name), names);
}

std::vector<HeadId> removal_order(const HeadScores& scores) {
  std::vector<HeadId> order;
  for (size_t layer = 0; layer < scores.size(); ++layer) {
    for (size_t head = 0; head < scores[layer].size(); ++head) {
      order.push_back({static_cast<int>(layer), static_cast<int>(head)});
    }
  }
  std::stable_sort(order.begin(), order.end(), [&](HeadId a, HeadId b) {
    return scores[a.layer][a.head] < scores[b.layer][b.head];
  });
  return order;
}

int removal_count(int total_heads, int percent) {
  if (percent < 0 || percent > 100) {
    throw usage_error("pruning level {}: give a percentage from 0 to 100", percent);
  }
  return static_cast<int>(int64_t{total_heads} * percent / 100);
}

HeadRanking rank_heads(const RankingStrategy& strategy, const RankingInput& input) {
  if (strategy.calibrates && (input.runner == nullptr || input.calibration.empty())) {
    throw usage_error("strategy {}: needs a calibration text", strategy.name);
  }
  HeadRanking ranking{strategy.name, strategy.definition, strategy.score(input), {}};
  for (size_t layer = 0; layer < ranking.scores.size(); ++layer) {
    for (size_t head = 0; head < ranking.scores[layer].size(); ++head) {
      if (std::isfinite(ranking.scores[layer][head])) continue;
      throw runtime_error(
          "strategy {}: the score of head {} in layer {} is not finite; check the "
          "weights of this model",
          strategy.name, head, layer);
    }
  }
  ranking.order = removal_order(ranking.scores);
  return ranking;
}

std::vector<HeadId> heads_to_remove(const HeadRanking& ranking, int percent) {
  const int count = removal_count(static_cast<int>(ranking.order.size()), percent);
  std::vector<HeadId> heads(ranking.order.begin(), ranking.order.begin() + count);
  std::sort(heads.begin(), heads.end());
  return heads;
}

}  // namespace sentinel
