// Every head's state, gate and consent, and what follows from them (DESIGN.md part 4).
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

class HeadTable {
 public:
  explicit HeadTable(const ModelConfig& config);

  int n_layers() const { return static_cast<int>(heads_.size()); }
  int n_heads(int layer) const;  // heads present in the layer
  const HeadStatus& status(HeadId id) const;  // Error (usage) out of range

  // Return false, and log a violation, when the request would open a head without consent.
  // Error (usage) for an unknown head or a gate outside [0, 1].
  bool set_state(HeadId id, HeadState state, std::optional<bool> consent = std::nullopt);
  bool set_gate(HeadId id, float gate);
  void set_consent(HeadId id, bool consent);

  // f * g, 0 without consent: what multiplies the head's context.
  float factor(HeadId id) const;
  bool is_active(HeadId id) const { return factor(id) > 0; }
  int active_count() const;

  // Grows with every change; plans are rebuilt when it has moved.
  uint64_t version() const { return version_; }
  int64_t step() const { return step_; }
  void advance_step() { ++step_; }
  // EMA with weight 0.1 for the new value.
  void track_utilization(HeadId id, double utilization);
  void track_contribution(HeadId id, double norm);

  const std::vector<Violation>& recent_violations() const { return violations_; }  // last 256
  int64_t violation_count() const { return violation_count_; }
  int64_t violation_count(int layer) const { return layer_violations_[layer]; }

 private:
  HeadStatus& at(HeadId id);
  void log_violation(HeadId id, const std::string& type, float gate);

  std::vector<std::vector<HeadStatus>> heads_;
  std::vector<std::vector<double>> mean_norm_;
  std::vector<Violation> violations_;
  std::vector<int64_t> layer_violations_;  // [n_layers]
  int64_t violation_count_ = 0;
  int64_t step_ = 0;
  uint64_t version_ = 1;
};

}  // namespace sentinel
