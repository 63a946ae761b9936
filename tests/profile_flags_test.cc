// Every flag of `sentinel profile` changes what docs/profiling.md says it changes.
#include <algorithm>
#include <optional>
#include <regex>
#include <set>

#include "run_sentinel.h"

namespace sentinel::e2e {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

// About a tenth of a second.
Words smallest(const std::string& output_dir, const Words& more = {}) {
  Words words = {"profile",   "--pruning_levels",   "50",       "--iterations",
                 "1",         "--warmup",           "0",        "--generated_tokens",
                 "3",         "--sequence_length",  "12",       "--max_eval_windows",
                 "1",         "--max_footprint_mb", "2",        "--strategy",
                 "magnitude", "--output_dir",       output_dir, "--json"};
  for (size_t i = 0; i < more.size(); ++i) {
    const auto at = std::find(words.begin(), words.end(), more[i]);
    if (more[i].starts_with("--") && at != words.end() && i + 1 < more.size()) {
      *(at + 1) = more[++i];
    } else {
      words.push_back(more[i]);
    }
  }
  return words;
}

std::set<std::string> files_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = fs::relative(entry.path(), folder).string();
    // Without run_DATE_TIME/.
    if (entry.is_regular_file()) names.insert(name.substr(name.find('/') + 1));
  }
  return names;
}

class ProfileFlags : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const TemporaryFolder folder;
    const Outcome outcome = run(smallest(folder / "out"));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    base_ = new json(outcome.json());
    base_files_ = new std::set<std::string>(files_in(folder / "out"));
  }
  static void TearDownTestSuite() {
    delete base_;
    delete base_files_;
  }

  json run_with(const Words& flags, const std::map<std::string, std::string>& environment = {}) {
    folder_.emplace();
    RunOptions options;
    options.environment = environment;
    const Outcome outcome = run(smallest(*folder_ / "out", flags), options);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.exit_code == 0 ? outcome.json() : json();
  }
  static json at(const json& document, const std::string& pointer) {
    const json::json_pointer path(pointer);
    return document.contains(path) ? document[path] : json();
  }
  // The figure is another one than without the flag: `expected`, if that is given.
  void expect_change(const Words& flags, const std::string& pointer, const json& expected = {}) {
    SCOPED_TRACE(flags[0]);
    const json changed = at(run_with(flags), pointer);
    EXPECT_NE(changed, at(*base_, pointer));
    EXPECT_FALSE(changed.is_null());
    if (!expected.is_null()) {
      EXPECT_EQ(changed, expected);
    }
  }
  // These files and no others are there besides.
  void expect_files(const Words& flags, const std::set<std::string>& more) {
    SCOPED_TRACE(flags[0]);
    run_with(flags);
    std::set<std::string> expected = *base_files_;
    expected.insert(more.begin(), more.end());
    EXPECT_EQ(files_in(*folder_ / "out"), expected);
  }

  static json* base_;
  static std::set<std::string>* base_files_;
  std::optional<TemporaryFolder> folder_;
};
json* ProfileFlags::base_ = nullptr;
std::set<std::string>* ProfileFlags::base_files_ = nullptr;

const std::string kOptimized = "/pruning_comparison/optimized/50";

TEST_F(ProfileFlags, ModelRuns) {
  expect_change({"--optimization_level", "2"}, kOptimized + "/level", 2);
  expect_change({"--weights", "bf16"}, kOptimized + "/weights", "bf16");
  expect_change({"--lm_head", "int8"}, kOptimized + "/weight_bytes");
  expect_change({"--kv", "bf16"}, kOptimized + "/kv", "bf16");
  expect_change({"--threads", "3"}, kOptimized + "/threads", 3);
  expect_change({"--isa", "scalar"}, kOptimized + "/isa", "scalar");
  expect_change({"--agency", "off"}, kOptimized + "/agency", "off");
}

TEST_F(ProfileFlags, Work) {
  expect_change({"--sequence_length", "20"}, kOptimized + "/prompt_tokens", 20);
  expect_change({"--generated_tokens", "5"}, kOptimized + "/tokens_generated", {5});
  expect_change({"--batch_size", "2"}, kOptimized + "/batch_size", 2);
  const std::string text = std::string(SENTINEL_SOURCE_DIR) + "/texts/validation.txt";
  expect_change({"--max_eval_windows", "2", "--text", text}, "/quality_protocol/windows", 2);
  const json rounds = run_with({"--iterations", "3", "--warmup", "2"});
  EXPECT_EQ(at(rounds, kOptimized + "/generation_times").size(), 3U);
  EXPECT_GE(at(rounds, kOptimized + "/warmup_generations"), 2);
  EXPECT_EQ(at(*base_, kOptimized + "/warmup_generations"), 0);
}

TEST_F(ProfileFlags, Sampling) {
  const std::string text = kOptimized + "/generated_text";
  const Words hot = {"--temperature", "50", "--seed", "1"};
  const Words other = {"--temperature", "50", "--seed", "2"};
  const json first = at(run_with(hot), text), second = at(run_with(other), text);
  EXPECT_NE(first, at(*base_, text));
  EXPECT_NE(first, second);
  EXPECT_EQ(first, at(run_with(hot), text));
}

TEST_F(ProfileFlags, WhatIsPruned) {
  expect_change({"--strategy", "random"}, "/pruning_strategy/name", "random");
  expect_change({"--recover", "bias"}, kOptimized + "/perplexity");
  const json levels = at(run_with({"--pruning_levels", "0,25"}), "/pruning_comparison/original");
  EXPECT_TRUE(levels.contains("0") && levels.contains("25") && !levels.contains("50"));
}

TEST_F(ProfileFlags, Texts) {
  const TemporaryFolder texts;
  write_all(texts / "short", sentences(6));
  expect_change({"--text", texts / "short"}, "/quality_protocol/text_sha256");
  write_all(texts / "prompts", "A king\n");
  expect_change({"--custom_prompts", texts / "prompts"}, "/prompts/0/text", "A king");
  expect_change({"--strategy", "output", "--calibration", texts / "short"},
                "/pruning_strategy/calibration/text", texts / "short");
}

TEST_F(ProfileFlags, Tests) {
  expect_change({"--profile_mode", "component"}, "/component_breakdown/original/pruning_level", 0);
  expect_change({"--test_all_optimization_levels"}, "/optimization_levels/2/level", 2);
  expect_change({"--test_integration_points", "--disable_baseline", "--disable_unet"},
                "/integration_tests/opt_minimal/50/pruning_level", 50);
  expect_change({"--cpu_specific_optimizations"}, "/cpu_specific/scalar/isa", "scalar");
  expect_change({"--memory_profile"}, kOptimized + "/memory_profile");
  expect_change({"--max_footprint_mb", "4"},
                "/environment/measured_bandwidth/read/2/footprint_bytes", 4 << 20);
}

TEST_F(ProfileFlags, Models) {
  // A hub cache in which every size is the bundled model.
  const TemporaryFolder cache;
  for (const char* name : {"gpt2", "gpt2-medium"}) {
    const fs::path model = fs::path(cache / "") / ("models--" + std::string(name));
    fs::create_directories(model / "refs");
    fs::create_directories(model / "snapshots");
    write_all(model / "refs/main", "abc");
    fs::create_directory_symlink(kMini, model / "snapshots/abc");
  }
  const std::map<std::string, std::string> hub = {{"HF_HUB_CACHE", cache.path().string()}};
  EXPECT_EQ(run_with({"--model_name", "gpt2"}, hub)["args"]["model_name"], "gpt2");
  const json sized = run_with({"--specific_model_size", "medium"}, hub);
  EXPECT_EQ(sized["args"]["model_name"], "gpt2-medium");
  const json compared = run_with({"--multi_model_comparison", "--compare_models",
                                  "gpt2, gpt2-medium", "--model_family", "opt"},
                                 hub)["multi_model_comparison"];
  EXPECT_EQ(compared["gpt2-medium"]["model_family"], "opt");
  EXPECT_TRUE(compared.contains("gpt2"));
  const Words bad[] = {{"--specific_model_size", "huge"},
                       {"--specific_model_size", "xl", "--model_name", kMini}};
  for (const Words& words : bad) {
    EXPECT_EQ(run(smallest(cache / "out", words)).exit_code, 2);
  }
}

TEST_F(ProfileFlags, Files) {
  expect_files({"--export_csv"}, {"csv_reports/pruning_comparison.csv", "csv_reports/summary.csv"});
  expect_files({"--trace_export"},
               {"traces/original_pruning50_trace.json", "traces/optimized_pruning50_trace.json"});
  run_with({"--visualize"});
  const auto drawn = files_in(*folder_ / "out");
  EXPECT_TRUE(drawn.contains("charts/pruning_performance.png") ||
              drawn.contains("charts/pruning_performance.svg"));
  run_with({"--output_prefix", "mine"});
  EXPECT_TRUE(files_in(*folder_ / "out").contains("data/mine_full_model_profiling.json"));
}

TEST_F(ProfileFlags, GeneratedTextAndThePreviousRun) {
  const std::string text = "/optimization_levels/1/generated_text";
  EXPECT_TRUE(at(run_with({"--test_all_optimization_levels"}), text).is_null());
  EXPECT_TRUE(
      at(run_with({"--test_all_optimization_levels", "--save_generated_text"}), text).is_string());
  // The folder of the run above.
  const Outcome second = run(smallest(*folder_ / "out", {"--compare_with_previous"}));
  EXPECT_TRUE(at(second.json(), "/comparison_with_previous/previous_file").is_string())
      << second.err;
  EXPECT_FALSE(base_->contains("comparison_with_previous"));
}

TEST(ProfileFlagTable, HasEveryFlagAndNoOther) {
  const Outcome help = run({"profile", "--help"});
  const std::string table = read_all(std::string(SENTINEL_SOURCE_DIR) + "/docs/profiling.md");
  const auto names = [](const std::string& text, const std::regex& pattern) {
    std::set<std::string> found;
    for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) {
      found.insert((*it)[1]);
    }
    return found;
  };
  auto flags = names(help.out, std::regex("(?:^|[\\s,])--([a-z_]+)"));
  // Of every command, second names, and a flag of another command that a text names.
  for (const char* name : {"help", "json", "output", "model", "level", "levels"}) flags.erase(name);
  EXPECT_GT(flags.size(), 30U) << help.out;
  EXPECT_EQ(names(table, std::regex("\\n\\| `--([a-z_]+)")), flags);
}

}  // namespace
}  // namespace sentinel::e2e
