#include "app/report/result_file.h"

#include <gtest/gtest.h>

#include <cmath>

#include "app/report/export_fixtures.h"
#include "base/error.h"

namespace sentinel {
namespace {

using nlohmann::json;
using testing::full_result;
using testing::python_result;

std::string error_of(const json& document) {
  try {
    read_result(document, "file.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::bad_input);
    return error.what();
  }
  return "no error";
}

json with_run(const std::string& key, const json& run) {
  return {{"pruning_comparison", {{"original", {{key, run}}}}}};
}

TEST(ResultFile, ReadsThePythonSystem) {
  const ResultFile file = python_result(SENTINEL_SOURCE_DIR);
  EXPECT_TRUE(file.from_python);
  ASSERT_EQ(file.pruning.size(), 8u);
  ASSERT_EQ(file.loading.size(), 3u);
  EXPECT_EQ(file.loading[0].name, "Baseline");
  EXPECT_EQ(file.loading[0].parameters, 124439808);
  const ResultRun* run = find_run(file.pruning, "optimized", 70);
  ASSERT_NE(run, nullptr);
  EXPECT_DOUBLE_EQ(run->tokens_per_second, 23.08996799292972);
  EXPECT_GT(run->noise_percent, 0);  // from the samples: the file has none
  EXPECT_LT(run->speed_low(), run->tokens_per_second);
  EXPECT_TRUE(std::isnan(run->perplexity));
  EXPECT_TRUE(file.levels.empty());
  EXPECT_EQ(find_run(file.pruning, "optimized", 31), nullptr);
}

TEST(ResultFile, ReadsEverySectionOfOurs) {
  const ResultFile file = full_result(SENTINEL_SOURCE_DIR);
  EXPECT_FALSE(file.from_python);
  EXPECT_EQ(file.pruning.size(), 8u);
  EXPECT_EQ(file.levels.size(), 4u);
  EXPECT_EQ(file.integration.size(), 10u);
  EXPECT_EQ(file.integration[0].series, "original");
  EXPECT_EQ(file.prompts.size(), 12u);
  EXPECT_EQ(file.prompts.back().prompt, "OVERALL");
  EXPECT_EQ(file.prompts[2].prompt.substr(0, 11), "In the year");  // prompt_2 before prompt_10
  EXPECT_EQ(file.components.size(), 14u);
  EXPECT_EQ(file.models.size(), 2u);
  EXPECT_EQ(file.memory_samples.size(), 24u);
  EXPECT_EQ(file.memory_samples.front().seconds, 0);
  EXPECT_EQ(file.memory_figures.size(), 4u);
  EXPECT_EQ(file.recommendation.size(), 3u);
  EXPECT_EQ(file.heads.scores.size(), 8u);
  EXPECT_EQ(file.roof.read.size(), 10u);
  EXPECT_DOUBLE_EQ(file.aa_percent, 0.6);
  EXPECT_GT(file.pruning[0].step_p99, file.pruning[0].step_p50);
}

TEST(ResultFile, SortsLevelsAsNumbers) {
  json runs;
  for (const char* key : {"5", "100", "30", "0"}) runs[key] = {{"tokens_per_second", 1}};
  const ResultFile file = read_result({{"pruning_comparison", {{"optimized", runs}}}}, "f");
  std::vector<int> keys;
  for (const auto& run : file.pruning) keys.push_back(run.key);
  EXPECT_EQ(keys, (std::vector<int>{0, 5, 30, 100}));
}

TEST(ResultFile, LeavesOutNullSectionsAndReadsPythonsNan) {
  const ResultFile file = read_result(
      {{"pruning_comparison", nullptr},
       {"integration_tests", nullptr},
       {"optimization_levels", {{"1", {{"tokens_per_second", nullptr}}}, {"2", nullptr}}}},
      "f");
  EXPECT_TRUE(file.pruning.empty());
  ASSERT_EQ(file.levels.size(), 1u);
  EXPECT_TRUE(std::isnan(file.levels[0].tokens_per_second));
}

TEST(ResultFile, NamesWhatIsWrong) {
  const auto expect = [](const json& document, const std::string& part) {
    const std::string message = error_of(document);
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_EQ(message.find("file.json: "), 0u) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  };
  expect(json::array(), "top level: expected an object");
  expect(json::object(), "no measurements");
  expect({{"environment", {{"device", "cpu"}}}}, "no measurements");
  expect({{"pruning_comparison", 3}}, "pruning_comparison: expected an object");
  expect(with_run("thirty", {{"tokens_per_second", 1}}), "whole number as key");
  expect(with_run("30 ", {{"tokens_per_second", 1}}), "whole number as key");
  expect(with_run("30", {{"tokens_per_second", "fast"}}),
         "pruning_comparison.original.30.tokens_per_second: expected a number");
  expect(with_run("30", {{"tokens_per_second", 1e300}}), "expected a number");
  expect(with_run("30", {{"step_ms", 3}}), "step_ms: expected an object");
  expect(with_run("30", {{"generation_times", {"a"}}}), "generation_times[0]");
  expect(with_run("30", 5), "original.30: expected an object");
  expect({{"recommendation", {{{"title", "x"}}}}}, "pruning_level");
  expect({{"pruning_strategy", {{"scores", {1}}}}}, "scores[0]: expected an array");
}

TEST(ResultFile, RefusesFilesThatAreNotResults) {
  EXPECT_THROW(load_result_file(std::string(SENTINEL_SOURCE_DIR) + "/no_such_file.json"), Error);
  EXPECT_THROW(load_result_file(std::string(SENTINEL_SOURCE_DIR) + "/README.md"), Error);
  EXPECT_THROW(load_result_file(std::string(SENTINEL_SOURCE_DIR) + "/tests"), Error);
}

}  // namespace
}  // namespace sentinel
