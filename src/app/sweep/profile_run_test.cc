#include "app/sweep/profile_run.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "app/prune/ranking.h"
#include "app/report/chart_files.h"
#include "app/report/profile_json.h"
#include "app/sweep/profile_fixture.h"
#include "app/sweep/prompts.h"
#include "base/error.h"
#include "base/files.h"

const std::string sentinel::testing::kRoot = SENTINEL_SOURCE_DIR;

namespace sentinel {
namespace {

using ProfileRunTest = testing::ProfileFixture;
using testing::join;
using testing::kMiniHeads;
using testing::kRoot;
using testing::schema_errors;
namespace fs = std::filesystem;
using nlohmann::json;

TEST_F(ProfileRunTest, WritesAResultFileThatFollowsTheSchema) {
  ProfileOptions options = tiny();
  options.output_prefix = "mine";
  options.batch_size = 2;
  options.model_options.threads = 2;
  options.max_footprint_mb = 4;
  const ProfileResult result = run_profile(options);
  const json document = saved("mine_");
  EXPECT_EQ(schema_errors(document), "");
  for (const char* section :
       {"model_loading", "pruning_strategy", "pruning_comparison", "aa_test", "quality_protocol"}) {
    EXPECT_TRUE(document.contains(section)) << section;
  }
  const json& run = document["pruning_comparison"]["optimized"]["50"];
  EXPECT_GT(run["bandwidth_fraction"].get<double>(), 0);
  EXPECT_EQ(run["threads"], 2);
  for (const char* folder : {"charts", "data", "csv_reports"}) {
    EXPECT_TRUE(fs::is_directory(run_folder() / folder)) << folder;
  }
  EXPECT_EQ(document["recommendation"].size(), 3u);
  EXPECT_EQ(result.run_folder, run_folder().string());
  EXPECT_FALSE(document["interrupted"]);
}

TEST_F(ProfileRunTest, TheSchemaCheckFindsWhatIsWrong) {
  run_profile(tiny());
  json document = saved();
  document["pruning_comparison"]["original"]["0"].erase("kl_mean");
  document["pruning_comparison"]["original"]["50"]["tokens_per_second"] = "fast";
  document["pruning_comparison"]["optimized"]["0"]["level"] = 7;
  document["aa_test"]["first"]["variant"] = "other";
  document["surprise"] = 1;
  testing::SchemaCheck check(read_json(kRoot + "/docs/result_schema.json"));
  EXPECT_EQ(check.errors(document).size(), 5u) << join(check.errors(document));
}

TEST_F(ProfileRunTest, CellsHoldWhatRan) {
  ProfileOptions options = tiny();
  options.pruning_levels = "50,0,30";
  options.strategy = "random";
  options.seed = 7;
  const ProfileResult result = run_profile(options);
  ASSERT_EQ(result.original.size(), 3u);
  ASSERT_EQ(result.optimized.size(), 3u);
  for (const auto* runs : {&result.original, &result.optimized}) {
    for (const auto& [percent, run] : *runs) {
      const int removed = removal_count(kMiniHeads, percent);
      EXPECT_EQ(run.heads_active, kMiniHeads - removed) << run.variant << percent;
      EXPECT_EQ(run.heads_pruned.size(), static_cast<size_t>(removed));
      EXPECT_EQ(run.level, 1);
      EXPECT_EQ(run.threads, 1);
      EXPECT_EQ(run.prompt_tokens, 12);
      EXPECT_EQ(run.seed, 7u);
      EXPECT_EQ(run.generation_times.size(), 2u);
      EXPECT_EQ(run.step_times.size(), 4u);
      EXPECT_EQ(run.tokens_generated, (std::vector<int>{3, 3}));
      EXPECT_FALSE(run.generated_text.value_or("").empty());
      ASSERT_TRUE(run.quality.has_value());
      EXPECT_TRUE(std::isfinite(run.quality->perplexity));
      EXPECT_TRUE(std::isfinite(run.quality->kl_mean));
      EXPECT_EQ(run.agency_stats.is_null(), run.variant == "original");
    }
  }
  EXPECT_LT(result.original.at(50).weight_bytes, result.original.at(0).weight_bytes);
  EXPECT_EQ(result.optimized.at(50).weight_bytes, result.optimized.at(0).weight_bytes);
  EXPECT_LT(result.optimized.at(50).bytes_per_token, result.optimized.at(0).bytes_per_token);
}

// The same heads removed from memory and closed at run time are the same function.
TEST_F(ProfileRunTest, RemovedAndClosedHeadsAgreeInTextAndQuality) {
  const ProfileResult result = run_profile(tiny());
  for (const int percent : {0, 50}) {
    const RunResult& original = result.original.at(percent);
    const RunResult& optimized = result.optimized.at(percent);
    EXPECT_EQ(original.generated_text, optimized.generated_text);
    EXPECT_NEAR(original.quality->nll_mean, optimized.quality->nll_mean, 1e-4);
  }
  EXPECT_NEAR(result.original.at(0).quality->perplexity_delta_percent, 0, 1e-4);
  EXPECT_GT(result.original.at(50).quality->perplexity_delta_percent, 1);
  EXPECT_DOUBLE_EQ(result.original.at(0).quality->top1_agreement, 1);
}

TEST_F(ProfileRunTest, MeasuresTheDenseOriginalTwiceEvenWithoutLevelZero) {
  ProfileOptions options = tiny();
  options.pruning_levels = "70";
  const ProfileResult result = run_profile(options);
  EXPECT_EQ(result.original.count(0), 0u);
  ASSERT_TRUE(result.aa_first && result.aa_second);
  EXPECT_EQ(result.aa_first->heads_active, kMiniHeads);
  EXPECT_EQ(result.aa_second->heads_active, kMiniHeads);
  EXPECT_NE(result.aa_first->generation_times, result.aa_second->generation_times);
  EXPECT_EQ(schema_errors(saved()), "");
}

TEST_F(ProfileRunTest, LevelZeroRunsTheReference) {
  ProfileOptions options = shortest();
  options.model_options.level = 0;
  const ProfileResult result = run_profile(options);
  EXPECT_EQ(result.original.at(0).level, 0);
  EXPECT_EQ(result.optimized.at(0).level, 0);
  EXPECT_FALSE(result.optimized.at(0).kv_cache);
}

TEST_F(ProfileRunTest, LevelsTestMeasuresEveryLevel) {
  ProfileOptions options = shortest();
  options.test_all_optimization_levels = true;
  const ProfileResult result = run_profile(options);
  ASSERT_EQ(result.levels.size(), 4u);
  for (const auto& [level, run] : result.levels) {
    EXPECT_EQ(run.level, level);
    EXPECT_EQ(run.pruning_level, 30);
    EXPECT_EQ(run.heads_active, kMiniHeads - removal_count(kMiniHeads, 30));
    EXPECT_TRUE(run.quality.has_value());
  }
  EXPECT_LT(result.levels.at(3).weight_bytes, result.levels.at(2).weight_bytes);
  EXPECT_LT(result.levels.at(2).weight_bytes, result.levels.at(1).weight_bytes);
  const json document = saved();
  EXPECT_EQ(schema_errors(document), "");
  const json& comparison = document["optimization_levels"]["comparison"];
  EXPECT_EQ(comparison.size(), 4u);
  const auto perplexity = [&](int level) { return result.levels.at(level).quality->perplexity; };
  for (const int level : {2, 3}) {
    const json& of_level = comparison[std::to_string(level)];
    EXPECT_EQ(of_level["promised_percent"], level == 2 ? 1 : 4);
    EXPECT_NEAR(of_level["perplexity_over_level_0_percent"].get<double>(),
                100 * (perplexity(level) / perplexity(0) - 1), 1e-9);
  }
}

// Stops at a stage, as Ctrl-C would.
ProfileResult interrupted_at(const ProfileOptions& options, const std::string& stage, int done) {
  std::atomic<bool> cancel = false;
  return run_profile(
      options,
      [&](const ProfileProgress& now) {
        if (now.stage == stage && now.done >= done) cancel = true;
      },
      &cancel);
}

TEST_F(ProfileRunTest, InterruptKeepsWhatWasMeasured) {
  const ProfileResult result = interrupted_at(tiny(), "timing", 7);
  EXPECT_TRUE(result.interrupted);
  const json document = saved();
  EXPECT_TRUE(document["interrupted"]);
  EXPECT_EQ(schema_errors(document), "");
  EXPECT_TRUE(document.contains("model_loading"));
  const json& run = document["pruning_comparison"]["original"]["0"];
  EXPECT_GE(run["generation_times"].size(), 1u);
  EXPECT_TRUE(run["perplexity"].is_null());
  EXPECT_TRUE(document["recommendation"].empty());
  EXPECT_TRUE(fs::is_regular_file(run_folder() / "summary.md"));
}

TEST_F(ProfileRunTest, InterruptAtAnyStageLeavesAValidFile) {
  for (const char* stage : {"loading", "ranking heads", "quality"}) {
    fs::remove_all(folder_);
    EXPECT_TRUE(interrupted_at(tiny(), stage, 0).interrupted) << stage;
    EXPECT_EQ(schema_errors(saved()), "") << stage;
  }
}

TEST_F(ProfileRunTest, UnwritableFolderIsFoundBeforeMeasuring) {
  std::ofstream(folder_) << "a file in the way";
  ProfileOptions options = tiny();
  options.output_dir = (folder_ / "below").string();
  bool measured = false;
  try {
    run_profile(options, [&](const ProfileProgress& now) { measured |= now.stage == "timing"; });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find(folder_.string()), std::string::npos);
  }
  EXPECT_FALSE(measured);
}

TEST_F(ProfileRunTest, NeverWritesIntoAnExistingRun) {
  const ProfileOptions options = tiny();
  const auto first = run_profile(options).run_folder;
  const auto second = run_profile(options).run_folder;
  EXPECT_NE(first, second);
}

struct BadOption {
  const char* name;
  void (*spoil)(ProfileOptions& options);
};
class BadOptionTest : public ProfileRunTest, public ::testing::WithParamInterface<BadOption> {};

TEST_P(BadOptionTest, IsRefusedAndNothingIsWritten) {
  ProfileOptions options = tiny();
  GetParam().spoil(options);
  try {
    run_profile(options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_TRUE(error.kind() == ErrorKind::usage || error.kind() == ErrorKind::bad_input);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
  }
  EXPECT_FALSE(fs::exists(folder_));
}

TEST(ProfileOptions, SequenceLengthsAreCheckedBeforeAnyFileIsOpened) {
  ProfileOptions options;
  for (const int as_they_are : {0, -1}) {
    options.sequence_length = as_they_are;
    EXPECT_NO_THROW(check_options(options));
  }
  options.sequence_length = 2000000000;
  EXPECT_THROW(check_options(options), Error);
}

TEST_F(ProfileRunTest, VisualizeAndExportCsvWriteFiles) {
  ProfileOptions options = tiny();
  options.visualize = options.export_csv = true;
  options.output_prefix = "mine";
  run_profile(options);
  const bool png = can_write(ChartFormat::png);
  const std::string chart = png ? "pruning_performance.png" : "pruning_performance.svg";
  const std::string bytes = read_file(run_folder() / "charts" / chart);
  EXPECT_TRUE(bytes.starts_with(png ? "\x89PNG" : "<?xml")) << chart;
  EXPECT_NE(read_file(run_folder() / "summary.md").find("(charts/" + chart + ")"),
            std::string::npos);
  const std::string csv = read_file(run_folder() / "csv_reports/mine_pruning_comparison.csv");
  EXPECT_TRUE(csv.starts_with("Pruning Level,Model Type,Tokens per Second"));
  EXPECT_TRUE(fs::exists(run_folder() / "csv_reports/mine_summary.csv"));
}

TEST_F(ProfileRunTest, MissingConverterIsANoticeAndSvg) {
  ProfileOptions options = tiny();
  options.visualize = true;
  const std::string path = getenv("PATH") ? getenv("PATH") : "";
  setenv("PATH", "/nonexistent", 1);
  std::vector<std::string> seen;
  run_profile(options, [&](const ProfileProgress& now) {
    seen.push_back(now.notice.empty() ? now.stage : "notice " + now.notice);
  });
  setenv("PATH", path.c_str(), 1);
  const auto notice = std::find_if(seen.begin(), seen.end(), [](const auto& line) {
    return line.find("rsvg-convert") != std::string::npos;
  });
  ASSERT_NE(notice, seen.end());
  EXPECT_EQ(std::find(seen.begin(), notice, "timing"), notice) << "the notice came too late";
  EXPECT_TRUE(fs::exists(run_folder() / "charts/pruning_performance.svg"));
}

TEST_F(ProfileRunTest, MemoryProfileTakesSnapshots) {
  ProfileOptions options = tiny();
  EXPECT_FALSE(to_json(run_profile(options)).contains("memory"));
  fs::remove_all(folder_);
  options.memory_profile = true;
  options.warmup = 1;
  run_profile(options);
  const json document = saved();
  EXPECT_EQ(schema_errors(document), "");
  const json& run = document["pruning_comparison"]["optimized"]["50"];
  EXPECT_EQ(run["memory_profile"].size(), 3u);  // before warm-up and after two generations
  const json& memory = document["memory"];
  std::set<std::string> stages;
  double highest = 0;
  for (const json& sample : memory["samples"]) {
    stages.insert(sample["stage"].get<std::string>());
    highest = std::max(highest, sample["rss_mb"].get<double>());
  }
  EXPECT_TRUE(stages.contains("loading") && stages.contains("timing"));
  EXPECT_GE(memory["peak_rss_mb"].get<double>(), highest);
  EXPECT_NEAR(memory["packed_weights_mb"].get<double>() * 1e6,
              document["pruning_comparison"]["optimized"]["0"]["weight_bytes"].get<double>(), 1);
  EXPECT_GT(memory["kv_cache_mb"].get<double>(), 0);
}

TEST_F(ProfileRunTest, ThroughputCountsEmittedTokens) {
  ProfileOptions options = tiny();
  options.profile_mode = "throughput";
  options.iterations = 1;  // raised to 3
  options.batch_size = 2;
  run_profile(options);
  const json document = saved();
  EXPECT_EQ(schema_errors(document), "");
  EXPECT_FALSE(document.contains("pruning_comparison"));
  const json& section = document["throughput_test"];
  double time = 0;
  for (int i = 0; i < 5; ++i) {
    const json& run = section[fmt::format("prompt_{}", i)];
    EXPECT_EQ(run["tokens_generated"], json({100, 100, 100}));
    EXPECT_EQ(run["heads_active"], kMiniHeads - removal_count(kMiniHeads, 30));
    EXPECT_TRUE(run["generated_text"].is_null());
    for (const json& each : run["generation_times"]) time += each.get<double>();
  }
  EXPECT_EQ(section["overall"]["total_tokens"], 5 * 3 * 2 * 100);
  EXPECT_NEAR(section["overall"]["total_time"].get<double>(), time, 1e-6);
}

TEST_F(ProfileRunTest, SaveGeneratedTextKeepsTheTextOfTheThroughputTest) {
  ProfileOptions options = tiny();
  options.profile_mode = "throughput";
  options.iterations = 1;
  options.save_generated_text = true;
  run_profile(options);
  const json text = saved()["throughput_test"]["prompt_0"]["generated_text"];
  ASSERT_TRUE(text.is_string());
  EXPECT_TRUE(text.get<std::string>().starts_with(builtin_prompts()[0].substr(0, 20)));
}

TEST_F(ProfileRunTest, ComparesWithTheNewestRunOfTheSameModel) {
  ProfileOptions options = tiny();
  options.compare_with_previous = true;
  const json none = run_profile(options).comparison;
  EXPECT_TRUE(none["previous_file"].is_null());
  EXPECT_EQ(none["rows"].size(), 0u);
  const fs::path first = run_folder() / "data/full_model_profiling.json";
  // A change that no noise hides: then it was ten thousand times faster.
  json old = read_json(first);
  json& run = old["pruning_comparison"]["original"]["50"];
  run["tokens_per_second"] = 1e4 * run["tokens_per_second"].get<double>();
  write_file_atomic(first, old.dump());
  // Neither a broken file nor another model's later run gets in the way.
  old["args"]["model_name"] = "another";
  old["timestamp"] = old["timestamp"].get<double>() + 0.001;
  fs::create_directories(folder_ / "other/data");
  write_file_atomic(folder_ / "other/data/full_model_profiling.json", old.dump());
  write_file_atomic(folder_ / "x_full_model_profiling.json", "{");

  options.seed = 5;
  const ProfileResult second = run_profile(options);
  const json document = to_json(second);
  EXPECT_EQ(schema_errors(document), "");
  const json& comparison = document["comparison_with_previous"];
  EXPECT_EQ(comparison["previous_file"], first.string());
  EXPECT_EQ(comparison["settings_changed"], json({"seed"}));
  int slower = 0, same_quality = 0;
  for (const json& row : comparison["rows"]) {
    if (row["section"] != "pruning_comparison") continue;
    if (row["figure"] == "perplexity") same_quality += row["beyond_noise"] == json(false);
    if (row["series"] == "original" && row["key"] == 50 && row["figure"] == "tokens_per_second") {
      EXPECT_LT(row["change_percent"].get<double>(), -90);
      slower += row["beyond_noise"].is_boolean();
    }
  }
  EXPECT_EQ(slower, 1);
  EXPECT_EQ(same_quality, 4);
}

TEST_F(ProfileRunTest, ComparesModels) {
  const fs::path copy = folder_.string() + ",copy ";
  fs::create_directory_symlink(kRoot + "/models/sentinel-mini", copy);
  ProfileOptions options = tiny();
  options.multi_model_comparison = true;
  options.compare_models = {options.model_name, copy.string()};
  options.model_family = "mine";
  options.iterations = 1;
  run_profile(options);
  fs::remove(copy);
  const json document = saved();
  EXPECT_EQ(schema_errors(document), "");
  const json& models = document["multi_model_comparison"];
  ASSERT_EQ(models.size(), 2u);
  for (const json& model : models) {
    EXPECT_EQ(model["model_family"], "mine");
    EXPECT_EQ(model["inference"]["heads_active"], kMiniHeads);
    const json& dense = document["pruning_comparison"]["original"]["0"];
    EXPECT_EQ(model["inference"]["perplexity"], dense["perplexity"]);
    EXPECT_EQ(model["inference"]["perplexity_delta_percent"], 0);
    EXPECT_EQ(model["parameter_counts"]["baseline"],
              document["model_loading"]["baseline_model"]["parameter_count"]);
  }
}

INSTANTIATE_TEST_SUITE_P(
    , BadOptionTest,
    ::testing::Values(BadOption{"model", [](auto& o) { o.model_name = "/no/such/model"; }},
                      BadOption{"device", [](auto& o) { o.device = "cuda"; }},
                      BadOption{"mode", [](auto& o) { o.profile_mode = "sideways"; }},
                      BadOption{"compare_one",
                                [](auto& o) {
                                  o.multi_model_comparison = true;
                                  o.compare_models = {o.model_name};
                                }},
                      BadOption{"compare_missing",
                                [](auto& o) {
                                  o.multi_model_comparison = true;
                                  o.compare_models = {o.model_name, "/no/such/model"};
                                }},
                      BadOption{"throughput_room",
                                [](auto& o) {
                                  o.profile_mode = "throughput";
                                  o.sequence_length = 450;
                                }},
                      BadOption{"levels", [](auto& o) { o.pruning_levels = "0,30,"; }},
                      BadOption{"levels_range", [](auto& o) { o.pruning_levels = "0,101"; }},
                      BadOption{"levels_twice", [](auto& o) { o.pruning_levels = "30,30"; }},
                      BadOption{"levels_text", [](auto& o) { o.pruning_levels = "3x"; }},
                      BadOption{"strategy", [](auto& o) { o.strategy = "psychic"; }},
                      BadOption{"context", [](auto& o) { o.sequence_length = 511; }},
                      BadOption{"huge_sequence", [](auto& o) { o.sequence_length = 2000000000; }},
                      BadOption{"tokens", [](auto& o) { o.generated_tokens = 0; }},
                      BadOption{"batch", [](auto& o) { o.batch_size = 0; }},
                      BadOption{"iterations", [](auto& o) { o.iterations = 0; }},
                      BadOption{"warmup", [](auto& o) { o.warmup = -1; }},
                      BadOption{"level", [](auto& o) { o.model_options.level = 7; }},
                      BadOption{"isa", [](auto& o) { o.model_options.isa = "mmx"; }},
                      BadOption{"prefix", [](auto& o) { o.output_prefix = "../x"; }},
                      BadOption{"prompts",
                                [](auto& o) { o.custom_prompts = "/no/such/prompts.txt"; }},
                      BadOption{"text", [](auto& o) { o.text = "/no/such/text.txt"; }},
                      BadOption{"calibration",
                                [](auto& o) {
                                  o.strategy = "output";
                                  o.calibration = "/no/such/text.txt";
                                }},
                      BadOption{"points_text",
                                [](auto& o) {
                                  o.test_integration_points = true;
                                  o.calibration = "/no/such/text.txt";
                                }},
                      BadOption{"points_short_text",
                                [](auto& o) {
                                  o.test_integration_points = true;
                                  o.calibration = kRoot + "/texts/prompts.txt";
                                }}),
    [](const auto& parameter) { return std::string(parameter.param.name); });

}  // namespace
}  // namespace sentinel
