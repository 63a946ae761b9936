#include "model/sampler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace sentinel {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();
constexpr size_t kFirstNucleus = 64;  // candidates tried first for top-p without top-k

void check(const SamplingOptions& o) {
  if (!(o.temperature >= 0 && o.temperature <= 1e6)) {
    throw usage_error("temperature: {} is out of range; give 0 (greedy) to 1000000", o.temperature);
  }
  if (o.top_k < 0) throw usage_error("top_k: {} is negative; give 0 for all", o.top_k);
  if (!(o.top_p > 0 && o.top_p <= 1)) {
    throw usage_error("top_p: {} is out of range; give a number above 0 and up to 1", o.top_p);
  }
  if (!(o.repetition_penalty > 0 && o.repetition_penalty <= 1e6)) {
    throw usage_error(
        "repetition_penalty: {} is out of range; give a number above 0 and up to 1000000 (1: none)",
        o.repetition_penalty);
  }
}

// splitmix64 (Steele, Lea, Flood 2014).
uint64_t mix(uint64_t z) {
  z += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

// The first of the highest numbers, infinity counting as the largest; NaN counts as nothing.
// Error (runtime) if there is none above minus infinity.
int32_t first_highest(std::span<const float> x) {
  constexpr size_t kLanes = 16;  // side by side, which the compiler makes vectors of
  std::array<float, kLanes> lanes;
  lanes.fill(kNever);
  size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) lanes[j] = std::max(lanes[j], x[i + j]);
  }
  float high = *std::ranges::max_element(lanes);
  for (; i < x.size(); ++i) high = std::max(high, x[i]);
  if (high == kNever) {
    throw runtime_error(
        "sampling: no logit is a finite number: the weights or the chosen "
        "precision overflow; try --weights f32");
  }
  high = std::min(high, kLargest);
  const auto found = std::ranges::find_if(x, [&](float value) { return value >= high; });
  return static_cast<int32_t>(found - x.begin());
}

}  // namespace

Sampler::Sampler(const SamplingOptions& options, int vocab_size)
    : options_(options),
      scores_(static_cast<size_t>(vocab_size)),
      seen_(static_cast<size_t>(vocab_size)),
      penalise_(options.repetition_penalty != 1) {
  check(options);
  if (options_.temperature > 0) {
    candidates_.reserve(scores_.size());
  }
}

void Sampler::accept(int32_t token) { seen_.at(static_cast<size_t>(token)) = 1; }

void Sampler::penalise() {
  const auto penalty = static_cast<float>(options_.repetition_penalty);
  for (size_t i = 0; i < scores_.size(); ++i) {
    if (!seen_[i]) continue;
    scores_[i] = std::min(scores_[i] < 0 ? scores_[i] * penalty : scores_[i] / penalty, kLargest);
  }
}

void Sampler::load_scores(std::span<const float> logits) {
  for (size_t i = 0; i < logits.size(); ++i) {
    scores_[i] = std::isnan(logits[i]) ? kNever : std::min(logits[i], kLargest);
  }
  if (penalise_) penalise();
  best_token_ = first_highest(scores_);
  best_score_ = scores_[static_cast<size_t>(best_token_)];
}

void Sampler::select_top(size_t k) {
  candidates_.clear();
  for (size_t i = 0; i < scores_.size(); ++i) {
    const Candidate candidate{scores_[i], static_cast<int32_t>(i)};
    if (candidate.score == kNever) continue;
    if (candidates_.size() < k) {
      candidates_.push_back(candidate);
      // The heap's top is the worst candidate kept: what a better one replaces.
      if (candidates_.size() == k) std::make_heap(candidates_.begin(), candidates_.end());
    } else if (candidate < candidates_.front()) {
      std::pop_heap(candidates_.begin(), candidates_.end());
      candidates_.back() = candidate;
      std::push_heap(candidates_.begin(), candidates_.end());
    }
  }
}

// Keeps the smallest set of best candidates whose share reaches top_p of the candidates within
// `limit`. The set is small as a rule, so a few are tried first and more only when they fall short.
void Sampler::cut_top_p(size_t limit) {
  const auto weight = [&](float score) {
    return std::exp((static_cast<double>(score) - best_score_) / options_.temperature);
  };
  double total = 0;
  if (limit < scores_.size()) {
    select_top(limit);
    for (const Candidate& c : candidates_) total += weight(c.score);
  } else {
    for (const float score : scores_) total += weight(score);
  }
  for (size_t k = std::min(kFirstNucleus, limit);; k = std::min(k * 8, limit)) {
    select_top(k);
    std::sort(candidates_.begin(), candidates_.end());
    double sum = 0;
    for (size_t i = 0; i < candidates_.size(); ++i) {
      sum += weight(candidates_[i].score);
      if (sum >= options_.top_p * total) {
        candidates_.resize(i + 1);
        return;
      }
    }
    if (k == limit) return;
  }
}

// A race of exponential clocks: token i rings at -ln u_i / w_i, and rings first with probability
// w_i / sum w. Candidates need no order, and scores that differ by rounding alone choose alike.
int32_t Sampler::draw() {
  const uint64_t stream = mix(options_.seed + mix(static_cast<uint64_t>(draw_++)));
  double first = std::numeric_limits<double>::infinity();
  int32_t winner = best_token_;
  for (const Candidate& c : candidates_) {
    const double weight =
        std::exp((static_cast<double>(c.score) - best_score_) / options_.temperature);
    const uint64_t bits = mix(stream + static_cast<uint64_t>(c.token));
    const double u = (static_cast<double>(bits >> 11) + 0.5) * 0x1.0p-53;
    const double time = -std::log(u) / weight;
    if (time < first || (time == first && c.token < winner)) {
      first = time;
      winner = c.token;
    }
  }
  return winner;
}

int32_t Sampler::sample(std::span<const float> logits) {
  if (logits.size() != scores_.size()) {
    throw runtime_error("sampler: {} logits for a vocabulary of {}", logits.size(), scores_.size());
  }
  const bool greedy = options_.temperature == 0;
  if (greedy) ++draw_;
  if (greedy && !penalise_) return first_highest(logits);
  load_scores(logits);
  if (greedy) return best_token_;
  const auto top_k = static_cast<size_t>(options_.top_k);
  const size_t limit = top_k == 0 ? scores_.size() : std::min(top_k, scores_.size());
  if (options_.top_p < 1) {
    cut_top_p(limit);
  } else {
    select_top(limit);
  }
  return draw();
}

}  // namespace sentinel
