// Runs the sentinel binary as a user does.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace sentinel::e2e {
namespace fs = std::filesystem;

struct Outcome {
  int exit_code = -1;  // -signal when killed by one
  std::string out, err;
  nlohmann::json json() const { return nlohmann::json::parse(out); }
};

// A folder that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "sentinel-e2e-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

inline std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void write_all(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// Some 15 tokens by sentinel-mini's tokenizer, so many times.
inline std::string sentences(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += "The old man sat by the fire and said nothing for a long time.\n";
  }
  return text;
}

struct RunOptions {
  std::map<std::string, std::string> environment;  // on top of the present one
  std::string input;                               // standard input
  double interrupt_after_s = 0;                    // > 0: SIGINT after so long
};

inline Outcome run(const std::vector<std::string>& arguments, const RunOptions& options = {}) {
  const TemporaryFolder folder;
  write_all(folder / "in", options.input);
  std::vector<std::string> environment = {"SENTINEL_DATA=" SENTINEL_SOURCE_DIR};
  for (const auto& [key, value] : options.environment) environment.push_back(key + "=" + value);
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    const std::string key = text.substr(0, text.find('='));
    if (key != "OPTIMIZATION_LEVEL" && key != "SENTINEL_DATA" &&
        !options.environment.contains(key)) {
      environment.push_back(text);
    }
  }
  std::vector<std::string> words = {SENTINEL_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv, envp;
  for (auto& word : words) argv.push_back(word.data());
  for (auto& entry : environment) envp.push_back(entry.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const std::string in = folder / "in", out = folder / "out", err = folder / "err";
  posix_spawn_file_actions_addopen(&actions, 0, in.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT, 0600);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, SENTINEL_BINARY, &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  Outcome outcome;
  if (error != 0) {
    ADD_FAILURE() << "cannot start " << SENTINEL_BINARY;
    return outcome;
  }
  if (options.interrupt_after_s > 0) {
    std::this_thread::sleep_for(std::chrono::duration<double>(options.interrupt_after_s));
    kill(pid, SIGINT);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  outcome.out = read_all(out);
  outcome.err = read_all(err);
  return outcome;
}

inline const std::string kMini = std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini";

}  // namespace sentinel::e2e
