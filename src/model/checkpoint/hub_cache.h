// Where the Hugging Face libraries keep the models they have downloaded.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sentinel {

// The environment variables that decide where the cache lies; empty means not set.
struct HubEnvironment {
  std::string hf_hub_cache;           // HF_HUB_CACHE: the cache itself
  std::string huggingface_hub_cache;  // HUGGINGFACE_HUB_CACHE: its older name
  std::string hf_home;                // HF_HOME: the cache is its folder "hub"
  std::string xdg_cache_home;         // XDG_CACHE_HOME: huggingface/hub below it
  std::string home;                   // HOME: .cache/huggingface/hub below it

  static HubEnvironment from_process();
};

// The one folder that the Hugging Face libraries would use, or empty if nothing is set.
std::filesystem::path hub_cache_folder(const HubEnvironment& environment);

// "name" or "organisation/name", each with an optional "@revision".
bool is_hub_name(std::string_view text);

struct HubLookup {
  std::filesystem::path snapshot;               // empty: not in the cache
  std::vector<std::filesystem::path> searched;  // the model folders looked for
};

// Finds the snapshot of the name's revision (default main). Error (bad_input) when the model is in
// the cache but the revision is not.
HubLookup find_in_hub_cache(std::string_view name, const HubEnvironment& environment);

}  // namespace sentinel
