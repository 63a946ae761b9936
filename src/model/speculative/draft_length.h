// How many tokens to draft: by what was measured, none when it does not pay.
#pragma once

#include <array>
#include <cstdint>

namespace sentinel {

constexpr int kMaxDraft = 8;

// Times of the target model's passes: the median of the last few of each number of rows.
class TargetCost {
 public:
  // One pass over `tokens` rows took so long.
  void add(int tokens, double seconds);
  bool known() const { return passes_[1].count > 0; }
  // A pass over several rows was measured: the others can be judged from it.
  bool knows_windows() const { return windows_ > 0; }
  // Seconds of a pass; for a number that was never run, on the line through the nearest measured
  // one and the single pass.
  double seconds(int tokens) const;

 private:
  static constexpr int kKept = 9;
  struct Pass {
    std::array<double, kKept> recent{};
    int64_t count = 0;
    double median() const;
  };
  std::array<Pass, kMaxDraft + 2> passes_;
  int64_t windows_ = 0;
};

// One drafter's record. With acceptance a, cost c a draft token and v(g) of verifying g drafts, a
// round gives (1 - a^(g+1)) / (1 - a) tokens in g c + v(g) (Leviathan et al. 2023).
class DraftLength {
 public:
  // Before the first round: what a draft token costs.
  void expect_token_seconds(double seconds) { token_seconds_ = seconds; }
  // Whether any length could pay if 95 of 100 drafts were right.
  bool could_pay(const TargetCost& target) const;
  // g with the highest expected speed, 0 when no g beats single steps or when the recent rounds
  // did not. The first rounds are trials, unless even good drafts would not pay. While a drafter
  // is off, a short draft now and then finds out whether it still does not pay, after ever longer
  // waits.
  int choose(const TargetCost& target);
  // A round: `drafted` tokens took `draft_seconds`, the pass that checked them `pass_seconds`, the
  // first `accepted` were right.
  void add(int drafted, int accepted, double draft_seconds, double pass_seconds);

  double acceptance() const;  // of a draft token whose predecessors were right; recent rounds count
  double token_seconds() const { return token_seconds_; }
  bool off() const { return off_; }
  // Expected speed over single steps at length g, with the acceptance measured or given.
  double speed_up(int g, const TargetCost& target) const {
    return speed_up(g, acceptance(), target);
  }
  double speed_up(int g, double acceptance, const TargetCost& target) const;
  // Speed of the recent rounds over single steps; 1 before the first.
  double measured_speed_up(const TargetCost& target) const;

 private:
  double right_ = 1, tried_ = 2;  // a guess to start from, soon outweighed
  double token_seconds_ = 0;
  double recent_tokens_ = 0, recent_seconds_ = 0;  // of recent rounds, older ones forgotten
  int64_t rounds_ = 0;
  bool off_ = false;
  int waited_ = 0, wait_ = 0;
};

}  // namespace sentinel
