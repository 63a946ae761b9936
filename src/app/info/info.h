// What is in a checkpoint, and what the optimisation levels do with it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/model.h"

namespace sentinel {

struct CheckpointSummary {
  int64_t parameters = 0;
  int64_t bytes = 0;                             // of all tensors as stored
  std::map<std::string, int64_t> bytes_by_role;  // "attention", "ffn", "norm", ...
  std::map<std::string, int64_t> bytes_by_dtype;
  std::vector<int> heads_per_layer, ffn_per_layer;
};
CheckpointSummary summarise_checkpoint(const Checkpoint& checkpoint);

struct LevelSummary {
  int level;
  std::string name;  // "none", "default", ...
  std::string purpose;
  std::string promise;
  ModelInfo info;  // read back from a model made at this level
};
// Makes the model at every level and reads back what runs. Number types are those of levels 1 to 3.
std::vector<LevelSummary> summarise_levels(const std::shared_ptr<const Checkpoint>& checkpoint,
                                           const ModelOptions& options);

}  // namespace sentinel
