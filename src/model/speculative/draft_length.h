// How many tokens to draft: by what was measured, none when it does not pay.
#pragma once

#include <array>
#include <cstdint>

namespace sentinel {

constexpr int kMaxDraft = 8;

// Times of the target model.
class TargetCost {
 public:
  // One pass over `tokens` rows took so long.
  void add(int tokens, double seconds);
  bool known() const { return passes_[1].count > 0; }
  // Seconds of a pass; for a number that was never run, from the nearest smaller one and 3 % a row.
  double seconds(int tokens) const;

 private:
  struct Pass {
    double seconds = 0;
    int64_t count = 0;
  };
  std::array<Pass, kMaxDraft + 2> passes_;
};

// One drafter's record. With acceptance a, cost c a draft token and v(g) of verifying g drafts, a
// round gives (1 - a^(g+1)) / (1 - a) tokens in g c + v(g) (Leviathan et al. 2023).
class DraftLength {
 public:
  // g with the highest expected speed, 0 when no g beats single steps. While a drafter is off, one
  // short draft now and then finds out whether it still does not pay.
  int choose(const TargetCost& target);
  // A round: `drafted` tokens took `seconds` to draft, the first `accepted` were right.
  void add(int drafted, int accepted, double seconds);

  double acceptance() const;  // of a draft token whose predecessors were right; recent rounds count
  double token_seconds() const { return token_seconds_; }
  bool off() const { return off_; }
  // Expected speed over single steps at length g.
  double speed_up(int g, const TargetCost& target) const;

 private:
  double right_ = 0.8 * 4, tried_ = 4;  // a guess to start from, soon outweighed
  double token_seconds_ = 0;
  bool off_ = false;
  int waited_ = 0;
};

}  // namespace sentinel
