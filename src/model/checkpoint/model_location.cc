#include "model/checkpoint/model_location.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "model/checkpoint/shard_index.h"

namespace sentinel {
namespace fs = std::filesystem;
namespace {

constexpr const char* kConfig = "config.json";
constexpr const char* kWeights = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

// A folder without safetensors may hold the same model in another format: say so.
std::string missing_weights_hint(const fs::path& folder) {
  for (const char* other : {"pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5"}) {
    if (is_file(folder / other)) {
      return fmt::format(" ({} is there, but cannot be read: save the model as safetensors)",
                         other);
    }
  }
  return "";
}

ModelLocation files_of_folder(const fs::path& folder) {
  std::error_code error;
  fs::directory_iterator(folder, error);
  if (error) throw bad_input("{}: cannot read this folder: {}", folder.string(), error.message());
  ModelLocation location{.folder = folder, .config = folder / kConfig};
  std::vector<std::string> missing;
  if (!is_file(location.config)) missing.emplace_back(kConfig);
  if (is_file(folder / kWeights)) {
    location.weights.push_back(folder / kWeights);
  } else if (is_file(folder / kIndex)) {
    location.index = folder / kIndex;
    for (const auto& shard : ShardIndex::read(location.index).files()) {
      location.weights.push_back(folder / shard);
      if (!is_file(folder / shard)) missing.push_back(shard);
    }
  } else {
    missing.push_back(kWeights + missing_weights_hint(folder));
  }
  if (!missing.empty()) {
    throw bad_input("{}: not a whole model, missing: {}", folder.string(),
                    fmt::join(missing, ", "));
  }
  return location;
}

// A weights file of another name is taken as it is, unless it is one of several shards.
ModelLocation files_beside(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const std::string name = file.filename().string();
  const bool own_weights =
      file.extension() == ".safetensors" && name != kWeights && !is_file(folder / kIndex);
  if (own_weights) {
    if (!is_file(folder / kConfig)) {
      throw bad_input("{}: there is no config.json beside it", file.string());
    }
    return {.folder = folder, .config = folder / kConfig, .weights = {file}};
  }
  if (file.extension() != ".safetensors" && name != kConfig && name != kIndex) {
    throw bad_input("{}: not a model; expected a folder, config.json or a .safetensors file",
                    file.string());
  }
  return files_of_folder(folder);
}

}  // namespace

ModelLocation locate_model(const std::string& model, const HubEnvironment& environment) {
  const std::string shown = printable(model, 400);
  if (model.empty()) throw bad_input("the model's name is empty; give a folder or a hub name");
  std::error_code error;
  const fs::path path(model);
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status) || fs::is_regular_file(status)) {
    ModelLocation location = fs::is_directory(status) ? files_of_folder(path) : files_beside(path);
    location.origin = "folder " + location.folder.string();
    return location;
  }
  if (fs::exists(status)) throw bad_input("{}: neither a folder nor a regular file", shown);
  if (!is_hub_name(model)) throw bad_input("{}: no such folder or file", shown);
  const HubLookup lookup = find_in_hub_cache(model, environment);
  if (lookup.snapshot.empty()) {
    std::vector<std::string> places{(fs::current_path(error) / path).string()};
    for (const auto& place : lookup.searched) places.push_back(place.string());
    throw bad_input(
        "{}: no such model; looked for {}; give a folder, or download it to the "
        "Hugging Face cache first",
        shown, fmt::join(places, ", "));
  }
  ModelLocation location = files_of_folder(lookup.snapshot);
  location.origin = fmt::format("hub cache: {} -> {}", model, location.folder.string());
  return location;
}

}  // namespace sentinel
