// A Checkpoint whose tensors lie in the caller's memory instead of a file.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/safetensors.h"

namespace sentinel {

struct MemoryCheckpointSource {
  std::string config_json;
  std::vector<SafetensorsEntry> tensors;  // `bytes` is filled in
  std::shared_ptr<const void> owner;      // of the tensors' memory
  std::filesystem::path tokenizer;        // becomes folder(); empty: none
};

// As strict as Checkpoint::open. Error (bad_input).
std::shared_ptr<const Checkpoint> open_memory_checkpoint(MemoryCheckpointSource source);

}  // namespace sentinel
