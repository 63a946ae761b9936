// The smallest profiler runs, in a folder of their own; for tests.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/sweep/profile_options.h"
#include "app/sweep/schema_check.h"
#include "base/files.h"

namespace sentinel::testing {

namespace fs = std::filesystem;
using nlohmann::json;

extern const std::string kRoot;  // of the repository (profile_run_test.cc)
inline constexpr int kMiniHeads = 64;

class ProfileFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              fmt::format("sentinel-profile-{}-{}", getpid(),
                          ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    text_ = folder_.string() + ".txt";
  }
  void TearDown() override {
    fs::remove_all(folder_);
    fs::remove(text_);
  }

  // The smallest run that has every part.
  ProfileOptions tiny() const {
    ProfileOptions options;
    options.model_name = kRoot + "/models/sentinel-mini";
    options.text = kRoot + "/texts/validation.txt";
    options.calibration = kRoot + "/texts/calibration.txt";
    options.model_options.threads = 1;
    options.max_footprint_mb = 0;
    options.pruning_levels = "0,50";
    options.strategy = "magnitude";
    options.sequence_length = 12;
    options.generated_tokens = 3;
    options.iterations = 2;
    options.warmup = 0;
    options.max_eval_windows = 1;
    options.output_dir = folder_.string();
    return options;
  }
  // One cell of each variant on a text of six sentences: for level 0, which is slow.
  ProfileOptions shortest() {
    ProfileOptions options = tiny();
    options.pruning_levels = "0";
    options.iterations = 1;
    options.text = text_.string();
    std::ofstream file(text_);
    for (int i = 0; i < 6; ++i)
      file << "The old man sat by the fire and said nothing for a long time.\n";
    return options;
  }
  // The only run in the output folder.
  fs::path run_folder() const {
    fs::path found;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      EXPECT_TRUE(found.empty()) << entry.path();
      found = entry.path();
    }
    return found;
  }
  json saved(const std::string& prefix = "") const {
    return read_json(run_folder() / "data" / (prefix + "full_model_profiling.json"));
  }

  fs::path folder_, text_;
};

inline std::string join(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

inline std::string schema_errors(const json& document) {
  SchemaCheck check(read_json(kRoot + "/docs/result_schema.json"));
  return join(check.errors(document));
}

}  // namespace sentinel::testing
