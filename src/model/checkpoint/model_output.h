// Writes any Checkpoint, edited or not, as a folder that Sentinel and (padded) every other GPT-2
// reader opens.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/writer.h"

namespace sentinel {

struct ModelOutputOptions {
  std::optional<DType> dtype;  // of the matrices; empty: as the token embedding is stored
  // The unpruned shape, with zeros where heads and neurons were removed: the same function.
  bool padded = false;
  std::vector<std::pair<std::string, std::string>> extra_files;  // file name, bytes
  // As in ModelConfig; empty: the checkpoint's own.
  std::optional<WeightsOfLevel> weights_of_level;
};

// config.json for `source`'s model with the layer widths of `config`: pruned_heads as transformers
// 4 writes it, and Sentinel's own keys for what that cannot say.
nlohmann::json output_config(const Checkpoint& source, const ModelConfig& config);

// Error as write_checkpoint(). Tokenizer files are copied from checkpoint.folder().
void save_model(const std::filesystem::path& folder, const Checkpoint& checkpoint,
                const ModelOutputOptions& options);

}  // namespace sentinel
