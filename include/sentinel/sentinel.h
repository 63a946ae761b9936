// Sentinel: make pretrained transformers smaller and faster, and say what it cost.
//
//   auto baseline = sentinel::load_baseline_model("models/sentinel-mini");
//   auto model = sentinel::load_adaptive_model(baseline, {.optimization_level = 2});
//   auto result = model.generate("Once upon a time", {.max_new_tokens = 32});
#pragma once

#include <string>
#include <vector>

#include "sentinel/agency.h"
#include "sentinel/benchmark.h"
#include "sentinel/controller.h"
#include "sentinel/error.h"
#include "sentinel/evaluate.h"
#include "sentinel/export.h"
#include "sentinel/generate.h"
#include "sentinel/model.h"
#include "sentinel/options.h"
#include "sentinel/profile.h"

namespace sentinel {

struct BuildInfo {
  std::string version;  // "0.1.0"
  std::string commit, compiler, build_type;
  std::vector<std::string> isas;  // that this machine can run, best first
};
SENTINEL_API BuildInfo build_info();

// Where the model (a folder) and a text ("validation", "calibration", "prompts") lie that ship with
// Sentinel. Error (bad_input): not found; the environment's SENTINEL_DATA names another place.
SENTINEL_API std::string bundled_model();
SENTINEL_API std::string bundled_text(const std::string& name);

}  // namespace sentinel
