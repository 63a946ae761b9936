#include "model/agency/head_table.h"

#include <chrono>
#include <utility>

#include "base/error.h"

namespace sentinel {
namespace {

constexpr size_t kViolationsKept = 256;
constexpr double kSmoothing = 0.9;  // EMA: 0.9 old + 0.1 new

double epoch_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

const char* to_string(HeadState state) {
  switch (state) {
    case HeadState::active: return "active";
    case HeadState::overloaded: return "overloaded";
    case HeadState::misaligned: return "misaligned";
    case HeadState::withdrawn: return "withdrawn";
  }
  return "active";
}

HeadState parse_head_state(std::string_view name) {
  for (HeadState state : {HeadState::active, HeadState::overloaded, HeadState::misaligned,
                          HeadState::withdrawn}) {
    if (name == to_string(state)) return state;
  }
  throw usage_error("unknown head state \"{}\"; choose one of active, overloaded, misaligned, "
                    "withdrawn", printable(name));
}

float state_factor(HeadState state) {
  switch (state) {
    case HeadState::active: return 1.0F;
    case HeadState::overloaded: return 0.5F;
    case HeadState::misaligned: return 0.7F;
    case HeadState::withdrawn: return 0.0F;
  }
  return 0;
}

HeadTable::HeadTable(const ModelConfig& config) {
  for (const auto& layer : config.layers) {
    heads_.emplace_back(layer.n_heads);
    mean_norm_.emplace_back(layer.n_heads, 0.0);
    layer_violations_.push_back(0);
  }
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

bool HeadTable::set_state(HeadId id, HeadState state, std::optional<bool> consent) {
  HeadStatus& head = at(id);
  const bool agreed = consent.value_or(head.consent);
  if (state != HeadState::withdrawn && !agreed) {
    log_violation(id, "state change without consent refused", head.gate);
    return false;
  }
  head.consent = agreed;
  head.state = state;
  head.last_signal = step_;
  ++version_;
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
  head.gate = gate;
  ++version_;
  return true;
}

void HeadTable::set_consent(HeadId id, bool consent) {
  HeadStatus& head = at(id);
  head.consent = consent;
  head.last_signal = step_;
  ++version_;
}

float HeadTable::factor(HeadId id) const {
  const HeadStatus& head = status(id);
  return head.consent ? state_factor(head.state) * head.gate : 0.0F;
}

int HeadTable::active_count() const {
  int n = 0;
  for (int layer = 0; layer < n_layers(); ++layer) {
    for (int head = 0; head < n_heads(layer); ++head) n += is_active({layer, head});
  }
  return n;
}

void HeadTable::track_utilization(HeadId id, double utilization) {
  double& value = heads_[id.layer][id.head].utilization;
  value = kSmoothing * value + (1 - kSmoothing) * utilization;
}

void HeadTable::track_contribution(HeadId id, double norm) {
  double& mean = mean_norm_[id.layer][id.head];
  if (mean > 0) heads_[id.layer][id.head].alignment = norm / mean;
  mean = mean > 0 ? kSmoothing * mean + (1 - kSmoothing) * norm : norm;
}

void HeadTable::log_violation(HeadId id, const std::string& type, float gate) {
  if (violations_.size() == kViolationsKept) violations_.erase(violations_.begin());
  violations_.push_back({id.head, id.layer, type, step_, gate, status(id).state, epoch_seconds()});
  ++layer_violations_[id.layer];
  ++violation_count_;
}

}  // namespace sentinel
