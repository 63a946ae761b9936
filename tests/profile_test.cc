// `sentinel profile` as a user runs it.
#include "run_sentinel.h"

namespace sentinel::e2e {
namespace {

using nlohmann::json;

using Flags = std::map<std::string, std::string>;

// A run of about a second, with some flags changed or added.
std::vector<std::string> tiny(const std::string& output_dir, const Flags& changes = {}) {
  Flags flags = {
      {"--model_name", kMini},     {"--device", "cpu"},         {"--pruning-levels", "0,50"},
      {"--iterations", "1"},       {"--warmup", "0"},           {"--generated_tokens", "3"},
      {"--sequence-length", "12"}, {"--max_eval_windows", "1"}, {"--threads", "1"},
      {"--max_footprint_mb", "4"}, {"--output_dir", output_dir}};
  for (const auto& [name, value] : changes) flags[name] = value;
  std::vector<std::string> arguments = {"profile"};
  for (const auto& [name, value] : flags) arguments.insert(arguments.end(), {name, value});
  return arguments;
}

std::vector<std::string> as_json(std::vector<std::string> arguments) {
  arguments.emplace_back("--json");
  return arguments;
}

fs::path only_run(const fs::path& output_dir) {
  fs::path found;
  for (const auto& entry : fs::directory_iterator(output_dir)) {
    EXPECT_TRUE(found.empty());
    found = entry.path();
  }
  return found;
}

TEST(Profile, JsonIsTheResultFileAndNothingElse) {
  const TemporaryFolder folder;
  const Outcome outcome = run(as_json(tiny(folder / "out", {{"--output_prefix", "x"}})));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const fs::path run_folder = only_run(folder / "out");
  EXPECT_EQ(outcome.json(), json::parse(read_all(run_folder / "data/x_full_model_profiling.json")));
  EXPECT_NE(outcome.err.find("timing"), std::string::npos);
}

TEST(Profile, PrintsTablesRecommendationAndWhereTheReportIs) {
  const TemporaryFolder folder;
  const Outcome outcome = run(tiny(folder / "out"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string summary = (only_run(folder / "out") / "summary.md").string();
  for (const std::string text : {"Model loading", "Pruning comparison", "original (A/A)",
                                 "Noise:", "fastest:", "best with agency:", "best balance:"}) {
    EXPECT_NE(outcome.out.find(text), std::string::npos) << text;
  }
  EXPECT_NE(outcome.out.find(summary), std::string::npos);
  EXPECT_NE(read_all(summary).find("## Recommendations"), std::string::npos);
}

TEST(Profile, LevelAndPromptsComeFromTheirSources) {
  const TemporaryFolder folder;
  write_all(folder / "prompts", "The king said\nOnce\n");
  write_all(folder / "text", sentences(6));
  RunOptions options;
  options.environment["OPTIMIZATION_LEVEL"] = "0";
  const Outcome outcome =
      run(as_json(tiny(folder / "out", {{"--custom_prompts", folder / "prompts"},
                                        {"--text", folder / "text"},
                                        {"--batch_size", "2"},
                                        {"--pruning-levels", "0"},
                                        {"--sequence-length", "0"}})),
          options);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const json result = outcome.json();
  EXPECT_EQ(result["prompts"][0]["text"], "The king said");
  EXPECT_EQ(result["prompts"][1]["text"], "Once");
  EXPECT_EQ(result["prompts"][1]["tokens"], result["prompts"][1]["own_tokens"]);
  EXPECT_EQ(result["pruning_comparison"]["optimized"]["0"]["level"], 0);
  EXPECT_EQ(result["args"]["optimization_level"], 0);
}

TEST(Profile, InterruptKeepsWhatWasMeasured) {
  const TemporaryFolder folder;
  RunOptions options;
  options.interrupt_after_s = 2;
  const Outcome outcome = run(tiny(folder / "out", {{"--iterations", "100000"}}), options);
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  const json result =
      json::parse(read_all(only_run(folder / "out") / "data/full_model_profiling.json"));
  EXPECT_TRUE(result["interrupted"]);
  EXPECT_NE(outcome.out.find("Interrupted"), std::string::npos);
}

TEST(Profile, BadUsageIsOneLineAndWritesNothing) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"--device", "cuda"},      {"--profile_mode", "quick"},  {"--pruning-levels", "5x"},
      {"--strategy", "psychic"}, {"--custom_prompts", "none"}, {"--sequence-length", "600"},
      {"--threads", "0"},        {"--optimization_level", "9"}};
  for (const auto& [flag, value] : cases) {
    const TemporaryFolder folder;
    const Outcome outcome = run(tiny(folder / "out", {{flag, value}}));
    EXPECT_EQ(outcome.exit_code, 2) << flag;
    EXPECT_EQ(outcome.out, "") << flag;
    // Each message is about the value, not about how the test typed it.
    EXPECT_NE(outcome.err.find(value), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(folder / "out")) << flag;
  }
}

TEST(Profile, UnwritableFolderStopsBeforeMeasuring) {
  const TemporaryFolder folder;
  write_all(folder / "out", "a file in the way");
  const Outcome outcome = run(tiny(folder / "out/below"));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.err.find("timing"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("out/below"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace sentinel::e2e
