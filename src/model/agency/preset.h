// Named sets of head states, saved as JSON. A preset says what it was measured to do, or nothing.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "model/agency/head_table.h"

namespace sentinel {

// What one run of `sentinel eval` or `sentinel heads` found with the preset's heads.
struct PresetMeasurement {
  std::string text, text_sha256;
  int64_t tokens_scored = 0;
  double perplexity = 0;
  std::optional<double> perplexity_base;  // of the base model, in the same run
  int level = 0;
  std::string weights;
  bool head_means = false;
  std::optional<double> perplexity_without_head_means;
  std::optional<double> decode_tokens_per_second;  // median over steps, with these threads
  int threads = 0;
  std::string isa;
};

struct PresetHead {
  HeadId id;
  HeadState state = HeadState::active;
  float gate = 1;
  bool consent = true;
};

struct Preset {
  std::string name;
  std::vector<int> heads_per_layer;  // of the model it is for
  std::vector<PresetHead> heads;     // those that are not simply active
  std::optional<PresetMeasurement> measured;
};

// The heads as they are now.
Preset preset_of(const HeadTable& heads, const std::string& name);
nlohmann::json to_json(const Preset& preset);
void save_preset(const std::filesystem::path& path, const Preset& preset);
// Error (bad_input): broken, or another version.
Preset load_preset(const std::filesystem::path& path);
// Sets the preset's heads and leaves the others alone. What lacks consent is refused, and logged as
// a violation. Error (usage): a preset for another shape.
void apply_preset(const Preset& preset, HeadTable& heads);
// Whether a head that is set like this adds nothing.
bool closes(const PresetHead& head);

}  // namespace sentinel
