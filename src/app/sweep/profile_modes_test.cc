// Modes component, detailed and all, traces, and the instruction sets.
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "app/machine/machine.h"
#include "app/prune/ranking.h"
#include "app/report/profile_json.h"
#include "app/sweep/profile_fixture.h"
#include "app/sweep/profile_run.h"

namespace sentinel {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::kMiniHeads;
using testing::schema_errors;
using ProfileModesTest = testing::ProfileFixture;

double sum(const json& values) {
  double total = 0;
  for (const json& value : values) total += value.get<double>();
  return total;
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    EXPECT_GT(entry.file_size(), 0U) << entry.path();
    names.insert(entry.path().filename().string());
  }
  return names;
}

TEST_F(ProfileModesTest, ComponentsHaveSharesOfTimeAndBytes) {
  ProfileOptions options = tiny();
  options.profile_mode = "component";
  run_profile(options);
  const json document = saved();
  EXPECT_EQ(schema_errors(document), "");
  EXPECT_FALSE(document.contains("pruning_comparison"));
  const json& section = document["component_breakdown"];
  EXPECT_EQ(section["original"]["pruning_level"], 0);
  EXPECT_EQ(section["optimized"]["pruning_level"], 30);
  for (const json& variant : section) {
    for (const char* name : kComponents) {
      ASSERT_TRUE(variant["component_times"].contains(name)) << name;
      EXPECT_EQ(variant["component_times"][name].size(), 2U);  // iterations
    }
    EXPECT_NEAR(sum(variant["percentages"]), 100, 1e-6);
    EXPECT_NEAR(sum(variant["bytes_percentages"]), 100, 1e-6);
    EXPECT_NEAR(sum(variant["total_times"]) / 1e3,
                2 * variant["model_stats"]["total_time"].get<double>(), 1e-9);
    for (const char* name : {"attention", "ffn", "layernorm", "lm_head", "sampling"}) {
      EXPECT_GT(variant["total_times"][name].get<double>(), 0) << name;
    }
    EXPECT_GT(variant["bytes"]["ffn"].get<double>(), 0);
  }
  // 30 % of the heads are not read.
  EXPECT_LT(section["optimized"]["bytes"]["attention"].get<double>(),
            0.8 * section["original"]["bytes"]["attention"].get<double>());
  EXPECT_EQ(section["optimized"]["run"]["heads_active"],
            kMiniHeads - removal_count(kMiniHeads, 30));
}

TEST_F(ProfileModesTest, DetailedHasEveryOperationOfEveryLayer) {
  ProfileOptions options = tiny();
  options.profile_mode = "detailed";
  run_profile(options);
  const json document = saved();
  EXPECT_EQ(schema_errors(document), "");
  EXPECT_FALSE(document.contains("component_breakdown"));
  const json& run = document["pruning_comparison"]["optimized"]["50"];
  std::set<std::pair<int, std::string>> seen;
  for (const json& entry : run["operation_profile"]["operations"]) {
    if (entry["layer"].is_null()) continue;
    const std::pair key(entry["layer"].get<int>(), entry["operation"].get<std::string>());
    EXPECT_TRUE(seen.insert(key).second) << entry;
  }
  const int n_layers = static_cast<int>(run["heads_total"]) / 8;
  for (int layer = 0; layer < n_layers; ++layer) {
    for (const char* name : {"layernorm", "ffn_up", "ffn_down"}) {
      EXPECT_TRUE(seen.contains({layer, name})) << layer << name;
    }
  }
  const auto table = run["profile_data"].get<std::string>();
  EXPECT_NE(table.find("ffn_down"), std::string::npos);
  EXPECT_GT(run["model_stats"]["attention_time"].get<double>(), 0);
}

TEST_F(ProfileModesTest, TracesAreFilesOfTheirNames) {
  ProfileOptions options = tiny();
  options.trace_export = true;
  const ProfileResult result = run_profile(options);
  EXPECT_EQ(result.traces.size(), 4U);
  EXPECT_EQ(
      names_in(run_folder() / "traces"),
      (std::set<std::string>{"original_pruning0_trace.json", "optimized_pruning0_trace.json",
                             "original_pruning50_trace.json", "optimized_pruning50_trace.json"}));
  const json trace = read_json(run_folder() / "traces/optimized_pruning50_trace.json");
  int generations = 0;
  for (const json& event : trace["traceEvents"]) generations += event["name"] == "generation";
  EXPECT_EQ(generations, 1);
  // A trace alone leaves the figures as they are.
  EXPECT_TRUE(saved()["pruning_comparison"]["original"]["0"]["profile_data"].is_null());
}

TEST_F(ProfileModesTest, WithoutPruningCellsTheTracesAreOfTheComponentCells) {
  ProfileOptions options = tiny();
  options.profile_mode = "component";
  options.trace_export = true;
  run_profile(options);
  EXPECT_EQ(
      names_in(run_folder() / "traces"),
      (std::set<std::string>{"original_pruning0_trace.json", "optimized_pruning30_trace.json"}));
}

TEST_F(ProfileModesTest, AllRunsEverything) {
  ProfileOptions options = tiny();
  options.profile_mode = "all";
  options.iterations = 1;
  run_profile(options);
  const json document = saved();
  EXPECT_EQ(schema_errors(document), "");
  for (const char* section : {"pruning_comparison", "component_breakdown", "throughput_test",
                              "memory", "aa_test", "model_loading"}) {
    EXPECT_TRUE(document.contains(section)) << section;
  }
}

TEST_F(ProfileModesTest, EveryInstructionSetOfThisProcessorIsMeasured) {
  ProfileOptions options = tiny();
  options.cpu_specific_optimizations = true;
  options.iterations = 1;
  options.pruning_levels = "0";
  options.model_options.level = 2;
  run_profile(options);
  const json document = saved();
  EXPECT_EQ(schema_errors(document), "");
  const json& section = document["cpu_specific"];
  for (const auto& isa : describe_machine().isas) {
    ASSERT_TRUE(section.contains(isa)) << isa;
    EXPECT_EQ(section[isa]["isa"], isa);
    EXPECT_EQ(section[isa]["level"], 2);
    EXPECT_GT(section[isa]["tokens_per_second"].get<double>(), 0);
    EXPECT_LT(section[isa]["perplexity_delta_percent"].get<double>(), 5);
  }
  EXPECT_EQ(section.size(), describe_machine().isas.size());
}

TEST_F(ProfileModesTest, IntegrationPointsThatAreDisabledAreLeftOut) {
  ProfileOptions options = tiny();
  options.test_integration_points = true;
  options.disable_baseline = options.disable_unet = true;
  options.cpu_specific_optimizations = true;
  options.iterations = 1;
  options.pruning_levels = "0";
  run_profile(options);
  const json document = saved();
  EXPECT_EQ(schema_errors(document), "");
  const json& section = document["integration_tests"];
  EXPECT_EQ(section.size(), 4U);
  for (const char* name :
       {"original", "opt_minimal", "cpu_optimized_level3", "cpu_optimized_aggressive"}) {
    ASSERT_TRUE(section.contains(name)) << name;
    EXPECT_GT(section[name]["50"]["tokens_per_second"].get<double>(), 0) << name;
    EXPECT_GT(section[name]["0"]["perplexity"].get<double>(), 1) << name;
  }
  EXPECT_TRUE(document["integration_points"]["fit"].is_null());
  EXPECT_TRUE(document["integration_points"]["verdicts"].empty());
}

TEST_F(ProfileModesTest, TheMachineIsNotedWhileTiming) {
  run_profile(tiny());
  const json conditions = saved()["environment"]["conditions"];
  ASSERT_EQ(conditions.size(), 1U);
  EXPECT_GT(conditions[0]["seconds"].get<double>(), 0);
  EXPECT_GE(conditions[0]["cpus"].size(), 1U);
}

}  // namespace
}  // namespace sentinel
