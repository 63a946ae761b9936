// Every head's state, gate and consent, and what follows from them (docs/agency.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "sentinel/agency.h"

namespace sentinel {

// 1, 0.5, 0.7, 0.
float state_factor(HeadState state);

// A step is one decode step or one prefill chunk. No call after construction allocates, but for
// recent_violations() and errors.
class HeadTable {
 public:
  // Error (usage): thresholds outside 0..1, recovery_period below 1.
  explicit HeadTable(const ModelConfig& config, const AgencyOptions& options = {});

  int n_layers() const { return static_cast<int>(heads_.size()); }
  int n_heads(int layer) const;               // heads present in the layer
  const HeadStatus& status(HeadId id) const;  // Error (usage) out of range
  const AgencyOptions& options() const { return options_; }

  // Return false, and log a violation, when the request would open a head without consent: any
  // state but withdrawn without granting consent, or a higher gate. Withdrawing consent itself is
  // always honoured. Error (usage): an unknown head, a gate outside [0, 1], opening a removed head
  // or giving it consent again.
  bool set_state(HeadId id, HeadState state, std::optional<bool> consent = std::nullopt);
  bool set_gate(HeadId id, float gate);
  void set_consent(HeadId id, bool consent);
  // The head's weights are not there: it is withdrawn for good.
  void remove(HeadId id);
  // From now on a head that is closed counts as removed (level 3).
  void make_closing_final() { closing_is_final_ = true; }

  // f * g, 0 without consent: what multiplies the head's context.
  float factor(HeadId id) const;
  bool is_active(HeadId id) const { return factor(id) > 0; }
  int active_count() const;

  // Grows with every change; plans are rebuilt when it has moved.
  uint64_t version() const { return version_; }
  int64_t step() const { return step_; }

  // Whether states change by themselves: active -> overloaded or misaligned by what is tracked,
  // and back after the recovery period. Withdrawn or unconsenting heads never do.
  void set_automatic(bool on) { automatic_ = on; }
  bool automatic() const { return automatic_; }
  void advance_step();
  // EMA with weight 0.1 for the new value.
  void track_utilization(HeadId id, double utilization);
  // Compares the norm of what the head adds to the residual stream with its mean so far, which
  // starts anew when the head's factor changes: a change that was asked for is no misalignment.
  void track_contribution(HeadId id, double norm);
  // Mean of the norms since the head's factor last changed; 0: none.
  double mean_contribution(HeadId id) const;
  // Step 0, nothing tracked yet; states stay.
  void restart_tracking();

  std::vector<Violation> recent_violations() const;  // the last 256, newest last
  int64_t violation_count() const { return violation_count_; }
  int64_t violation_count(int layer) const { return layer_violations_[layer]; }

 private:
  struct Contribution {
    double mean = 0;
    int64_t count = 0;
    int64_t low_since = -1;  // first step of the present run below the threshold; -1: none
  };

  HeadStatus& at(HeadId id);
  void refuse_if_removed(HeadId id) const;
  void changed(HeadId id);  // after any change of state, gate or consent
  void log_violation(HeadId id, std::string_view type, float gate);

  AgencyOptions options_;
  bool automatic_ = false, closing_is_final_ = false;
  std::vector<std::vector<HeadStatus>> heads_;
  std::vector<std::vector<Contribution>> contributions_;
  std::vector<Violation> violations_;  // ring of fixed size: entry i holds violation i % size
  std::vector<int64_t> layer_violations_;
  int64_t violation_count_ = 0;
  int64_t step_ = 0;
  uint64_t version_ = 1;
};

}  // namespace sentinel
