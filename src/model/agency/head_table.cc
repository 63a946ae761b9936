#include "model/agency/head_table.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/error.h"

namespace sentinel {
namespace {

constexpr size_t kViolationsKept = 256;
constexpr size_t kTypeLength = 64;  // room of a violation's type, so that logging allocates nothing
constexpr double kSmoothing = 0.9;  // EMA: 0.9 old + 0.1 new

double epoch_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void check(const AgencyOptions& options) {
  const auto share = [](const char* name, double value) {
    if (!(value >= 0 && value <= 1)) {
      throw usage_error("{}: {} is outside 0..1", name, value);
    }
  };
  share("overload_threshold", options.overload_threshold);
  share("alignment_threshold", options.alignment_threshold);
  if (options.recovery_period < 1) {
    throw usage_error("recovery_period: {} is out of range; give 1 step or more",
                      options.recovery_period);
  }
}

}  // namespace

const char* to_string(HeadState state) {
  switch (state) {
    case HeadState::active:
      return "active";
    case HeadState::overloaded:
      return "overloaded";
    case HeadState::misaligned:
      return "misaligned";
    case HeadState::withdrawn:
      return "withdrawn";
  }
  return "active";
}

HeadState parse_head_state(std::string_view name) {
  for (HeadState state :
       {HeadState::active, HeadState::overloaded, HeadState::misaligned, HeadState::withdrawn}) {
    if (name == to_string(state)) return state;
  }
  throw usage_error(
      "unknown head state \"{}\"; choose one of active, overloaded, misaligned, "
      "withdrawn",
      printable(name));
}

float state_factor(HeadState state) {
  switch (state) {
    case HeadState::active:
      return 1.0F;
    case HeadState::overloaded:
      return 0.5F;
    case HeadState::misaligned:
      return 0.7F;
    case HeadState::withdrawn:
      return 0.0F;
  }
  return 0;
}

HeadTable::HeadTable(const ModelConfig& config, const AgencyOptions& options)
    : options_(options), violations_(kViolationsKept) {
  check(options);
  for (const auto& layer : config.layers) {
    heads_.emplace_back(layer.n_heads);
    contributions_.emplace_back(layer.n_heads);
    layer_violations_.push_back(0);
  }
  for (Violation& violation : violations_) violation.violation_type.reserve(kTypeLength);
}

int HeadTable::n_heads(int layer) const {
  if (layer < 0 || layer >= n_layers()) {
    throw usage_error("layer {} does not exist: the model has layers 0 to {}", layer,
                      n_layers() - 1);
  }
  return static_cast<int>(heads_[layer].size());
}

HeadStatus& HeadTable::at(HeadId id) {
  return const_cast<HeadStatus&>(std::as_const(*this).status(id));
}

const HeadStatus& HeadTable::status(HeadId id) const {
  const int n = n_heads(id.layer);
  if (id.head < 0 || id.head >= n) {
    throw usage_error("head {} does not exist: layer {} has {} heads", id.head, id.layer, n);
  }
  return heads_[id.layer][id.head];
}

void HeadTable::refuse_if_removed(HeadId id) const {
  if (!status(id).removed) return;
  throw usage_error(
      "layer {} head {} was removed from memory and cannot be opened again; load the "
      "model anew, or use optimization level 0, 1 or 2 to switch heads both ways",
      id.layer, id.head);
}

void HeadTable::changed(HeadId id) {
  HeadStatus& head = at(id);
  head.last_signal = step_;
  head.alignment = 1;
  contributions_[id.layer][id.head] = {};
  if (closing_is_final_ && factor(id) <= 0) head.removed = true;
  ++version_;
}

bool HeadTable::set_state(HeadId id, HeadState state, std::optional<bool> consent) {
  HeadStatus& head = at(id);
  // Withdrawing consent in the same request opens nothing, whatever state is noted beside it.
  if (state != HeadState::withdrawn && !consent && !head.consent) {
    log_violation(id, "state change without consent refused", head.gate);
    return false;
  }
  if (state != HeadState::withdrawn) refuse_if_removed(id);
  head.consent = consent.value_or(head.consent);
  head.state = state;
  changed(id);
  return true;
}

bool HeadTable::set_gate(HeadId id, float gate) {
  HeadStatus& head = at(id);
  if (!(gate >= 0 && gate <= 1)) {
    throw usage_error("gate {} of layer {} head {} is outside 0..1", gate, id.layer, id.head);
  }
  if (gate > head.gate && !head.consent) {
    log_violation(id, "gate opened without consent refused", gate);
    return false;
  }
  if (gate > head.gate) refuse_if_removed(id);
  head.gate = gate;
  changed(id);
  return true;
}

void HeadTable::set_consent(HeadId id, bool consent) {
  HeadStatus& head = at(id);
  if (consent && !head.consent) refuse_if_removed(id);
  head.consent = consent;
  changed(id);
}

void HeadTable::remove(HeadId id) {
  HeadStatus& head = at(id);
  head.state = HeadState::withdrawn;
  head.removed = true;
  changed(id);
}

float HeadTable::factor(HeadId id) const {
  const HeadStatus& head = status(id);
  return head.consent && !head.removed ? state_factor(head.state) * head.gate : 0.0F;
}

int HeadTable::active_count() const {
  int n = 0;
  for (int layer = 0; layer < n_layers(); ++layer) {
    for (int head = 0; head < n_heads(layer); ++head) n += is_active({layer, head});
  }
  return n;
}

void HeadTable::advance_step() {
  ++step_;
  if (!automatic_) return;
  for (int layer = 0; layer < n_layers(); ++layer) {
    for (int h = 0; h < n_heads(layer); ++h) {
      HeadStatus& head = heads_[layer][h];
      const bool recovering =
          head.state == HeadState::overloaded || head.state == HeadState::misaligned;
      if (!recovering || !head.consent) continue;
      if (step_ - head.last_signal < options_.recovery_period) continue;
      head.state = HeadState::active;
      changed({layer, h});
    }
  }
}

void HeadTable::track_utilization(HeadId id, double utilization) {
  HeadStatus& head = at(id);
  head.utilization = kSmoothing * head.utilization + (1 - kSmoothing) * utilization;
  if (!automatic_ || head.state != HeadState::active || !head.consent) return;
  if (head.utilization <= options_.overload_threshold) return;
  head.state = HeadState::overloaded;
  changed(id);
}

void HeadTable::track_contribution(HeadId id, double norm) {
  HeadStatus& head = at(id);
  Contribution& so_far = contributions_[id.layer][id.head];
  if (so_far.mean > 0) head.alignment = norm / so_far.mean;
  so_far.mean += (norm - so_far.mean) / static_cast<double>(++so_far.count);
  if (head.alignment >= options_.alignment_threshold) {
    so_far.low_since = -1;
  } else if (so_far.low_since < 0) {
    so_far.low_since = step_;
  }
  if (!automatic_ || head.state != HeadState::active || !head.consent) return;
  if (so_far.low_since < 0 || step_ - so_far.low_since < options_.recovery_period) return;
  head.state = HeadState::misaligned;
  changed(id);
}

double HeadTable::mean_contribution(HeadId id) const {
  status(id);  // there is such a head
  return contributions_[id.layer][id.head].mean;
}

void HeadTable::restart_tracking() {
  step_ = 0;
  for (int layer = 0; layer < n_layers(); ++layer) {
    for (HeadStatus& head : heads_[layer]) {
      head.utilization = 0;
      head.alignment = 1;
      head.last_signal = 0;
    }
    contributions_[layer].assign(contributions_[layer].size(), {});
  }
}

void HeadTable::log_violation(HeadId id, std::string_view type, float gate) {
  Violation& entry = violations_[static_cast<size_t>(violation_count_) % kViolationsKept];
  entry.head_idx = id.head;
  entry.layer_idx = id.layer;
  entry.violation_type.assign(type);
  entry.step = step_;
  entry.gate_value = gate;
  entry.state = status(id).state;
  entry.timestamp = epoch_seconds();
  ++layer_violations_[id.layer];
  ++violation_count_;
}

std::vector<Violation> HeadTable::recent_violations() const {
  const auto kept = std::min<int64_t>(violation_count_, static_cast<int64_t>(kViolationsKept));
  std::vector<Violation> out;
  for (int64_t i = violation_count_ - kept; i < violation_count_; ++i) {
    out.push_back(violations_[static_cast<size_t>(i) % kViolationsKept]);
  }
  return out;
}

}  // namespace sentinel
