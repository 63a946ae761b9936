#include "model/sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace sentinel {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();
constexpr int kBuckets = 512;         // that top-p sorts candidates into by score,
constexpr float kBucketsOfUnit = 16;  // the last one being 32 units of temperature and more

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
        "sampling: no logit is a finite number: the weights overflow, or the chosen precision does "
        "where it is not f32");
  }
  high = std::min(high, kLargest);
  const auto found = std::ranges::find_if(x, [&](float value) { return value >= high; });
  return static_cast<int32_t>(found - x.begin());
}

// e^x for x <= 0, within 3e-7 of it: plain arithmetic, which loops over a vocabulary become vectors
// of. 2^n times the Taylor series of 2^f, f in [-1/2, 1/2].
float weight_of(float x) {
  const float t = std::max(x * 1.44269504F, -126.0F);
  const int n = static_cast<int>(t - 0.5F);
  const float f = (t - static_cast<float>(n)) * 0.693147181F;
  const float series =
      1 + f * (1 + f * (0.5F + f * (1 / 6.0F + f * (1 / 24.0F + f * (1 / 120.0F + f / 720.0F)))));
  return series * std::bit_cast<float>((n + 127) << 23);
}

int bucket_of(float relative_score) {
  return static_cast<int>(std::min(-relative_score * kBucketsOfUnit, float{kBuckets - 1}));
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

void Sampler::select_from(float lowest) {
  candidates_.clear();
  for (size_t i = 0; i < scores_.size(); ++i) {
    const float score = scores_[i];
    if (score >= lowest && score != kNever) candidates_.push_back({score, static_cast<int32_t>(i)});
  }
}

// The exponent of a weight, 0 for the best score: weights are relative to its.
float Sampler::relative_score(float score) const {
  const double x = (static_cast<double>(score) - best_score_) / options_.temperature;
  return static_cast<float>(std::max(x, -1e30));
}

double Sampler::total_weight() const {
  constexpr size_t kLanes = 16;
  std::array<double, kLanes> sums{};
  const auto scale = static_cast<float>(std::min(1 / options_.temperature, double{kLargest}));
  size_t i = 0;
  for (; i + kLanes <= scores_.size(); i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) {
      sums[j] += weight_of((scores_[i + j] - best_score_) * scale);
    }
  }
  for (; i < scores_.size(); ++i) sums[0] += weight_of((scores_[i] - best_score_) * scale);
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

// All that weigh less than an even share of what top-p leaves out weigh less than that together.
float Sampler::lowest_of_nucleus(double total) const {
  const double even_share = (1 - options_.top_p) * total / static_cast<double>(scores_.size());
  const double slack = 0.999;  // above the errors of weights
  return static_cast<float>(best_score_ + options_.temperature * std::log(slack * even_share));
}

// Keeps the smallest set of best candidates whose share of `total` reaches top_p: whole buckets,
// then the best of the one in which it is reached.
void Sampler::cut_top_p(double total) {
  const auto bucket = [&](const Candidate& c) { return bucket_of(relative_score(c.score)); };
  std::array<double, kBuckets> weights{};
  for (const Candidate& c : candidates_) {
    const float score = relative_score(c.score);
    weights[static_cast<size_t>(bucket_of(score))] += weight_of(score);
  }
  const double wanted = options_.top_p * total;
  double sum = 0;
  int last = 0;
  while (last + 1 < kBuckets && sum + weights[static_cast<size_t>(last)] < wanted) {
    sum += weights[static_cast<size_t>(last++)];
  }
  const auto first = std::partition(candidates_.begin(), candidates_.end(),
                                    [&](const Candidate& c) { return bucket(c) < last; });
  auto end = std::partition(first, candidates_.end(),
                            [&](const Candidate& c) { return bucket(c) == last; });
  std::sort(first, end);
  for (auto c = first; c != end; ++c) {
    sum += weight_of(relative_score(c->score));
    if (sum >= wanted) end = c + 1;
  }
  candidates_.erase(end, candidates_.end());
}

// A race of exponential clocks: token i rings at -ln u_i / w_i, and rings first with probability
// w_i / sum w. Candidates need no order, and scores that differ by rounding alone choose alike.
// As -ln u >= 1 - u, most clocks are seen to ring too late without a logarithm.
int32_t Sampler::draw() {
  const uint64_t stream = mix(options_.seed + mix(static_cast<uint64_t>(draw_++)));
  double first = std::numeric_limits<double>::infinity();
  int32_t winner = best_token_;
  for (const Candidate& c : candidates_) {
    const uint64_t bits = mix(stream + static_cast<uint64_t>(c.token));
    const double u = (static_cast<double>(bits >> 11) + 0.5) * 0x1.0p-53;
    const double at_most = weight_of(relative_score(c.score)) * 1.001;
    if (1 - u > first * at_most) continue;
    const double weight =
        std::exp((static_cast<double>(c.score) - best_score_) / options_.temperature);
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
  const bool nucleus = options_.top_p < 1;
  double total = 0;
  if (top_k > 0 && top_k < scores_.size()) {
    select_top(top_k);
    for (const Candidate& c : candidates_) total += weight_of(relative_score(c.score));
  } else {
    if (nucleus) total = total_weight();
    select_from(nucleus ? lowest_of_nucleus(total) : kNever);
  }
  if (nucleus) cut_top_p(total);
  return draw();
}

}  // namespace sentinel
