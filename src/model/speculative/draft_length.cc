#include "model/speculative/draft_length.h"

#include <algorithm>
#include <cmath>

namespace sentinel {
namespace {

constexpr double kForget = 0.95;   // per round: about the last 20 count
constexpr double kPerRow = 0.03;   // what one more row costs, until it was measured
constexpr int kRetry = 48;         // tokens from one trial of an idle drafter to the next
constexpr int kTrial = 2;          // drafts of such a trial
constexpr double kWorthIt = 1.05;  // below it the noise decides

}  // namespace

void TargetCost::add(int tokens, double seconds) {
  if (tokens < 1 || tokens > kMaxDraft + 1) return;
  Pass& pass = passes_[static_cast<size_t>(tokens)];
  // A pass that the machine disturbed must not spoil the estimate: rises count little.
  const double weight = pass.count == 0 ? 1 : seconds > pass.seconds ? 0.05 : 0.3;
  pass.seconds += weight * (seconds - pass.seconds);
  ++pass.count;
}

double TargetCost::seconds(int tokens) const {
  int from = std::clamp(tokens, 1, kMaxDraft + 1);
  while (from > 1 && passes_[static_cast<size_t>(from)].count == 0) --from;
  return passes_[static_cast<size_t>(from)].seconds * (1 + kPerRow * (tokens - from));
}

double DraftLength::acceptance() const { return std::min(right_ / tried_, 0.999); }

double DraftLength::speed_up(int g, const TargetCost& target) const {
  const double a = acceptance();
  const double tokens = (1 - std::pow(a, g + 1)) / (1 - a);
  return tokens * target.seconds(1) / (g * token_seconds_ + target.seconds(g + 1));
}

int DraftLength::choose(const TargetCost& target) {
  int best = 0;
  double speed = kWorthIt;
  for (int g = 1; g <= kMaxDraft; ++g) {
    const double expected = speed_up(g, target);
    if (expected > speed) {
      speed = expected;
      best = g;
    }
  }
  off_ = best == 0;
  if (!off_) {
    waited_ = 0;
    return best;
  }
  if (++waited_ < kRetry) return 0;
  waited_ = 0;
  return kTrial;
}

void DraftLength::add(int drafted, int accepted, double seconds) {
  if (drafted < 1) return;
  right_ = kForget * right_ + accepted;
  tried_ = kForget * tried_ + accepted + (accepted < drafted ? 1 : 0);
  const double each = seconds / drafted;
  token_seconds_ += (token_seconds_ == 0 ? 1 : 0.2) * (each - token_seconds_);
}

}  // namespace sentinel
