#include "model/speculative/drafter.h"

#include <algorithm>

#include "base/clock.h"

namespace sentinel {
namespace {

SamplingOptions without_penalty(SamplingOptions options) {
  options.repetition_penalty = 1;
  return options;
}

}  // namespace

void NgramDrafter::draft(std::span<const int32_t> history, int64_t, int most,
                         std::vector<int32_t>& out) {
  constexpr size_t kLongest = 4, kShortest = 2;
  out.clear();
  for (size_t n = kLongest; n >= kShortest; --n) {
    if (history.size() <= n) continue;
    const auto tail = history.last(n);
    for (size_t begin = history.size() - n; begin-- > 0;) {
      if (!std::equal(tail.begin(), tail.end(), history.begin() + static_cast<ptrdiff_t>(begin))) {
        continue;
      }
      const auto follows = history.subspan(begin + n);
      out.assign(follows.begin(), follows.begin() + std::min<ptrdiff_t>(most, std::ssize(follows)));
      return;
    }
  }
}

ModelDrafter::ModelDrafter(Model& model, int max_length, const SamplingOptions& sampling)
    : session_(model.new_session(1, max_length)),
      sampler_(without_penalty(sampling), model.config().vocab_size),
      logits_(static_cast<size_t>(model.config().vocab_size)) {
  seen_.reserve(static_cast<size_t>(max_length));
}

// On an empty history: what the prompt costs need not be paid to know that a drafter cannot pay.
double ModelDrafter::measure_token_seconds() {
  const int steps = std::min(4, session_->max_length() - 1);
  const int32_t token = 0;
  double best = 0;
  seen_.clear();
  session_->truncate(0, 0);
  session_->prefill(0, {&token, 1}, logits_.data());
  for (int i = 0; i < steps; ++i) {
    const double start = now_s();
    session_->step({&token, 1}, logits_.data());
    const double seconds = now_s() - start;
    best = i == 0 ? seconds : std::min(best, seconds);
  }
  session_->truncate(0, 0);
  return best;
}

void ModelDrafter::feed(std::span<const int32_t> history) {
  // The last token is fed again at least: its logits are needed.
  size_t same = 0;
  while (same + 1 < history.size() && same < seen_.size() && seen_[same] == history[same]) ++same;
  session_->truncate(0, static_cast<int>(same));
  const auto missing = history.subspan(same);
  if (missing.size() == 1) {
    session_->step(missing, logits_.data());
  } else {
    session_->prefill(0, missing, logits_.data());
  }
  seen_.assign(history.begin(), history.end());
}

void ModelDrafter::draft(std::span<const int32_t> history, int64_t draw, int most,
                         std::vector<int32_t>& out) {
  out.clear();
  if (most < 1) return;
  feed(history);
  sampler_.seek(draw);
  out.push_back(sampler_.sample(logits_));
  while (std::ssize(out) < most) {
    session_->step({&out.back(), 1}, logits_.data());
    seen_.push_back(out.back());
    out.push_back(sampler_.sample(logits_));
  }
}

}  // namespace sentinel
