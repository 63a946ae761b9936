#include "model/checkpoint/hub_cache.h"

#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "base/files.h"

namespace sentinel {
namespace fs = std::filesystem;
namespace {

// Names from before models had organisations; the hub redirects them, and either may be cached.
constexpr std::pair<std::string_view, std::string_view> kRenamed[] = {
    {"gpt2", "openai-community/gpt2"},
    {"gpt2-medium", "openai-community/gpt2-medium"},
    {"gpt2-large", "openai-community/gpt2-large"},
    {"gpt2-xl", "openai-community/gpt2-xl"},
    {"distilgpt2", "distilbert/distilgpt2"},
};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool is_plain_name(std::string_view text) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !text.empty() && text.size() <= 96 && text.front() != '.' && text.front() != '-' &&
         text.find_first_not_of(kAllowed) == std::string_view::npos &&
         text.find("..") == std::string_view::npos;
}

std::pair<std::string_view, std::string_view> split_revision(std::string_view text) {
  const size_t at = text.find('@');
  if (at == std::string_view::npos) return {text, "main"};
  return {text.substr(0, at), text.substr(at + 1)};
}

std::string folder_name(std::string_view name) {
  std::string folder = "models--";
  for (const char c : name) folder += c == '/' ? std::string("--") : std::string(1, c);
  return folder;
}

std::vector<std::string_view> spellings(std::string_view name) {
  std::vector<std::string_view> names{name};
  for (const auto& [old_name, new_name] : kRenamed) {
    if (name == old_name) names.push_back(new_name);
    if (name == new_name) names.push_back(old_name);
  }
  return names;
}

std::string read_ref(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return "";
  std::string commit = read_file(path, 4096);
  commit.erase(commit.find_last_not_of(" \t\r\n") + 1);
  if (!is_plain_name(commit)) {
    throw bad_input("{}: does not hold the name of a snapshot; download the model again",
                    path.string());
  }
  return commit;
}

// refs/<revision> names the snapshot; a commit can be asked for directly. A cache that was copied
// without its refs is clear enough if it holds just one snapshot. Empty: there is none.
fs::path find_snapshot(const fs::path& model, std::string_view revision) {
  std::error_code error;
  const std::string commit = read_ref(model / "refs" / revision);
  const fs::path snapshots = model / "snapshots";
  fs::path named = snapshots / (commit.empty() ? std::string(revision) : commit);
  if (fs::is_directory(named, error)) return named;
  std::vector<fs::path> all;
  for (const auto& entry : fs::directory_iterator(snapshots, error)) all.push_back(entry.path());
  if (commit.empty() && revision == "main" && all.size() == 1) return all.front();
  return {};
}

}  // namespace

HubEnvironment HubEnvironment::from_process() {
  return {.hf_hub_cache = variable("HF_HUB_CACHE"),
          .huggingface_hub_cache = variable("HUGGINGFACE_HUB_CACHE"),
          .hf_home = variable("HF_HOME"),
          .xdg_cache_home = variable("XDG_CACHE_HOME"),
          .home = variable("HOME")};
}

fs::path hub_cache_folder(const HubEnvironment& environment) {
  const auto expand = [&](const std::string& text) -> fs::path {
    const bool at_home = text == "~" || text.starts_with("~/");
    return at_home ? fs::path(environment.home + text.substr(1)) : fs::path(text);
  };
  if (!environment.hf_hub_cache.empty()) return expand(environment.hf_hub_cache);
  if (!environment.huggingface_hub_cache.empty()) return expand(environment.huggingface_hub_cache);
  if (!environment.hf_home.empty()) return expand(environment.hf_home) / "hub";
  if (!environment.xdg_cache_home.empty()) {
    return expand(environment.xdg_cache_home) / "huggingface" / "hub";
  }
  if (environment.home.empty()) return {};
  return fs::path(environment.home) / ".cache" / "huggingface" / "hub";
}

bool is_hub_name(std::string_view text) {
  const auto [name, revision] = split_revision(text);
  if (!is_plain_name(revision)) return false;
  const size_t slash = name.find('/');
  if (slash == std::string_view::npos) return is_plain_name(name);
  return is_plain_name(name.substr(0, slash)) && is_plain_name(name.substr(slash + 1));
}

HubLookup find_in_hub_cache(std::string_view name, const HubEnvironment& environment) {
  HubLookup lookup;
  const fs::path cache = hub_cache_folder(environment);
  if (cache.empty()) return lookup;
  const auto [model, revision] = split_revision(name);
  fs::path without;  // a folder that lacks the revision: another spelling's may have it
  for (const std::string_view spelling : spellings(model)) {
    const fs::path folder = cache / folder_name(spelling);
    lookup.searched.push_back(folder);
    std::error_code error;
    if (!fs::is_directory(folder, error)) continue;
    lookup.snapshot = find_snapshot(folder, revision);
    if (!lookup.snapshot.empty()) return lookup;
    if (without.empty()) without = folder;
  }
  if (!without.empty()) {
    throw bad_input("{}: the cached model has no snapshot for revision \"{}\"; download it again",
                    without.string(), revision);
  }
  return lookup;
}

}  // namespace sentinel
