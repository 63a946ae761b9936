// From what the user typed to the files of a model.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "model/checkpoint/hub_cache.h"

namespace sentinel {

struct ModelLocation {
  std::filesystem::path folder;
  std::filesystem::path config;                // folder/config.json
  std::filesystem::path index;                 // model.safetensors.index.json; empty: single file
  std::vector<std::filesystem::path> weights;  // the file, or the index's shards by name
  std::string origin;                          // for the user: "folder X", "hub cache: name -> X"
};

// `model` as in Checkpoint::open. All files named in the result exist. Error (bad_input) saying
// where it looked, or which files of the folder are missing.
ModelLocation locate_model(const std::string& model, const HubEnvironment& environment);

}  // namespace sentinel
