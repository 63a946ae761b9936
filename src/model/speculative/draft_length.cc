#include "model/speculative/draft_length.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace sentinel {
namespace {

constexpr double kForget = 0.95;       // per round: about the last 20 count
constexpr int kTrials = 4;             // rounds before a drafter is judged
constexpr int kTrial = 2;              // drafts of a trial
constexpr int kFirstWait = 32;         // tokens until an idle drafter is tried again, then twice
constexpr int kLongestWait = 32 << 5;  // as many each time
constexpr double kMostRight = 0.999;   // acceptance, so that the formula holds
constexpr double kGoodDrafter = 0.95;  // acceptance that a drafter may have at best
constexpr double kWorthIt = 1.03;      // below it the noise decides

}  // namespace

double TargetCost::Pass::median() const {
  std::array<double, kKept> sorted = recent;
  const auto n = static_cast<std::ptrdiff_t>(std::min<int64_t>(count, kKept));
  const auto middle = sorted.begin() + (n - 1) / 2;
  std::nth_element(sorted.begin(), middle, sorted.begin() + n);
  return *middle;
}

void TargetCost::add(int tokens, double seconds) {
  if (tokens < 1 || tokens > kMaxDraft + 1) return;
  Pass& pass = passes_[static_cast<size_t>(tokens)];
  pass.recent[static_cast<size_t>(pass.count++ % kKept)] = seconds;
  windows_ += tokens > 1;
}

double TargetCost::seconds(int tokens) const {
  const int wanted = std::clamp(tokens, 1, kMaxDraft + 1);
  if (passes_[static_cast<size_t>(wanted)].count > 0) {
    return passes_[static_cast<size_t>(wanted)].median();
  }
  if (passes_[1].count == 0) return 0;
  int nearest = 1;
  for (int n = 2; n <= kMaxDraft + 1; ++n) {
    const bool closer = std::abs(n - wanted) < std::abs(nearest - wanted) || nearest == 1;
    if (passes_[static_cast<size_t>(n)].count > 0 && closer) nearest = n;
  }
  const double single = passes_[1].median();
  if (nearest == 1) return single;
  const double each = (passes_[static_cast<size_t>(nearest)].median() - single) / (nearest - 1);
  return single + std::max(0.0, each) * (wanted - 1);
}

double DraftLength::acceptance() const { return std::min(right_ / tried_, kMostRight); }

double DraftLength::speed_up(int g, double a, const TargetCost& target) const {
  const double tokens = (1 - std::pow(a, g + 1)) / (1 - a);
  return tokens * target.seconds(1) / (g * token_seconds_ + target.seconds(g + 1));
}

double DraftLength::measured_speed_up(const TargetCost& target) const {
  return recent_seconds_ > 0 ? recent_tokens_ * target.seconds(1) / recent_seconds_ : 1;
}

bool DraftLength::could_pay(const TargetCost& target) const {
  double best = 0;
  for (int g = 1; g <= kMaxDraft; ++g) best = std::max(best, speed_up(g, kGoodDrafter, target));
  return best > kWorthIt;
}

int DraftLength::choose(const TargetCost& target) {
  if (!could_pay(target)) {
    off_ = true;
    return 0;
  }
  if (rounds_ < kTrials) return kTrial;
  int best = 0;
  double speed = kWorthIt;
  for (int g = 1; g <= kMaxDraft; ++g) {
    const double expected = speed_up(g, target);
    if (expected > speed) {
      speed = expected;
      best = g;
    }
  }
  // What the formula expects is believed only while the clock agrees.
  if (rounds_ >= 2 * kTrials && measured_speed_up(target) < 1) best = 0;
  off_ = best == 0;
  if (!off_) {
    waited_ = wait_ = 0;
    return best;
  }
  if (wait_ == 0) wait_ = kFirstWait;
  if (++waited_ < wait_) return 0;
  waited_ = 0;
  wait_ = std::min(2 * wait_, kLongestWait);
  recent_tokens_ /= 2;  // what a trial after a long wait shows counts for more
  recent_seconds_ /= 2;
  return kTrial;
}

void DraftLength::add(int drafted, int accepted, double draft_seconds, double pass_seconds) {
  if (drafted < 1) return;
  ++rounds_;
  right_ = kForget * right_ + accepted;
  tried_ = kForget * tried_ + accepted + (accepted < drafted ? 1 : 0);
  const double each = draft_seconds / drafted;
  token_seconds_ += (token_seconds_ == 0 ? 1 : 0.2) * (each - token_seconds_);
  recent_tokens_ = kForget * recent_tokens_ + 1 + accepted;
  recent_seconds_ = kForget * recent_seconds_ + draft_seconds + pass_seconds;
}

}  // namespace sentinel
