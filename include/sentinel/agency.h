// The words of head agency: what a head's state is, and what is reported about all of them.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sentinel/export.h"

namespace sentinel {

enum class HeadState : uint8_t { active, overloaded, misaligned, withdrawn };
SENTINEL_API const char* to_string(HeadState state);
SENTINEL_API HeadState parse_head_state(std::string_view name);  // Error (usage): unknown name

// `head` counts the heads present in the layer: in a pruned checkpoint there are fewer than in the
// published model.
struct HeadId {
  int layer = 0, head = 0;
  auto operator<=>(const HeadId&) const = default;
};

struct HeadStatus {
  HeadState state = HeadState::active;
  float gate = 1;
  bool consent = true;
  double utilization = 0;   // EMA of 1 - H / ln n
  double alignment = 1;     // contribution norm against its running mean
  int64_t last_signal = 0;  // step of the last change
  bool removed = false;     // not in memory: cannot be opened any more
};

// A refused request.
struct Violation {
  int head_idx, layer_idx;
  std::string violation_type;
  int64_t step;
  float gate_value;  // what was asked for, or the head's gate when only the state was
  HeadState state;
  double timestamp;  // seconds since 1970
};

// When heads change state by themselves (agency "auto" alone).
struct AgencyOptions {
  double overload_threshold = 0.85;  // utilisation above it: active -> overloaded
  // Alignment below it for recovery_period steps: active -> misaligned.
  double alignment_threshold = 0.6;
  int64_t recovery_period = 100;  // steps until overloaded and misaligned become active again

  bool operator==(const AgencyOptions&) const = default;
};

// The heads of one layer, counted by state alone: a closed gate does not count as withdrawn.
struct LayerReport {
  int layer = 0;
  int active_heads = 0, overloaded_heads = 0, misaligned_heads = 0, withdrawn_heads = 0;
  std::vector<int> withdrawn_head_indices;
  std::vector<double> utilization;           // [heads of the layer]
  std::vector<HeadStatus> heads;             // [heads of the layer]
  std::vector<double> factors;               // [heads of the layer] what multiplies the context
  int64_t violation_count = 0;               // since the model was loaded
  std::vector<Violation> recent_violations;  // the last 5, newest at the end
};

// A skip that runs: the layer it comes from, and its mean weight.
struct UnetConnection {
  int source = 0;
  double scale = 0;
};

// Where the model's time went in the generations that were timed: seconds, and percent of the
// total, which holds norms, embeddings, skips and the output matrix too.
struct PerformanceStats {
  double attention_time = 0, baseline_time = 0, ffn_time = 0, total_time = 0;
  double attention_percentage = 0, baseline_percentage = 0, ffn_percentage = 0;
};

struct AgencyReport {
  std::vector<LayerReport> layer_reports;  // [num_layers]
  int64_t total_violations = 0;
  int num_layers = 0;
  int64_t step = 0;      // decode steps and prefill chunks so far
  int heads_active = 0;  // those that contribute: consent, not withdrawn, gate above 0
  AgencyOptions options;
  bool automatic = false;  // whether states change by themselves
  // By layer, of the integration points that run: skips, and the baseline's mean share
  // |take| / (|keep| + |take|).
  std::map<int, UnetConnection> unet_connections;
  std::map<int, double> baseline_integration;
  std::optional<PerformanceStats> performance_stats;  // empty: nothing was timed
};

}  // namespace sentinel
