// An earlier run of `sentinel profile`, opened to measure what it lacks.
#pragma once

#include <filesystem>
#include <string>

#include "app/report/profile_result.h"
#include "app/sweep/profile_options.h"

namespace sentinel {

struct EarlierRun {
  std::filesystem::path folder;
  ProfileOptions options;  // as they were given then
  ProfileResult result;
};

// Error (bad_input): no run in the folder, or its file is damaged; Error (usage): it was measured
// on another machine or by another build, so that its figures and new ones cannot stand together.
EarlierRun open_earlier_run(const std::string& folder);
// Error (usage): model, texts or prompts, of which `inputs` are the fingerprints, are others now.
void check_inputs(const EarlierRun& run, const nlohmann::json& inputs);

}  // namespace sentinel
