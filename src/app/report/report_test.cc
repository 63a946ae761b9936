#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "app/report/export_findings.h"
#include "app/report/profile_json.h"
#include "app/report/profile_result.h"
#include "app/report/profile_tables.h"
#include "app/report/recommend.h"
#include "app/report/summary_md.h"
#include "app/report/text_table.h"
#include "base/statistics.h"

namespace sentinel {
namespace {

RunResult run_of(const std::string& variant, int percent, std::vector<double> times,
                 double delta_percent) {
  RunResult run;
  run.variant = variant;
  run.pruning_level = percent;
  run.level = 1;
  run.agency = variant == "optimized" ? "track" : "off";
  run.batch_size = 2;
  run.prompt_total = 100;
  run.bytes_per_step = 1000;
  run.machine_bandwidth = 1e5;
  for (const double time : times) {
    run.generation_times.push_back(time);
    run.prefill_times.push_back(time / 4);
    run.first_token_times.push_back(time / 4);
    run.decode_times.push_back(time * 3 / 4);
    for (int i = 0; i < 3; ++i) run.step_times.push_back(time / 4);
    run.tokens_generated.push_back(4);
  }
  QualityFigures quality;
  quality.perplexity = 40 * (1 + delta_percent / 100);
  quality.perplexity_delta_percent = delta_percent;
  run.quality = quality;
  return run;
}

TEST(DerivedFigures, FollowTheirDefinitions) {
  const RunResult run = run_of("original", 0, {0.2, 0.1, 0.4}, 0);
  EXPECT_DOUBLE_EQ(tokens_per_second(run), 2 * 4 / 0.2);
  EXPECT_DOUBLE_EQ(prefill_tokens_per_second(run), 100 / 0.05);
  EXPECT_DOUBLE_EQ(decode_tokens_per_second(run), 2 * 3 / 0.15);
  EXPECT_DOUBLE_EQ(step_ms(run).p50, 50);
  EXPECT_DOUBLE_EQ(step_ms(run).p99, 100);
  EXPECT_DOUBLE_EQ(bandwidth_fraction(run), 1000 / 0.05 / 1e5);
  // Deviations from 0.2: 0, 0.1, 0.2; their median 0.1. The factor of three values: 32.29.
  EXPECT_NEAR(noise_percent(run), 100 * 32.29 * 0.1 / std::sqrt(3.0) / 0.2, 1e-9);
  EXPECT_TRUE(std::isnan(tokens_per_second(RunResult{})));
  EXPECT_TRUE(std::isnan(noise_percent(run_of("original", 0, {1}, 0))));
}

TEST(DerivedFigures, OutliersAreNamed) {
  EXPECT_EQ(outliers(run_of("original", 0, {1.0, 1.01, 9.0, 0.99, 1.02, 1.0}, 0)),
            std::vector<int>{2});
  EXPECT_TRUE(outliers(run_of("original", 0, {1.0, 1.01, 0.98, 0.99, 1.02}, 0)).empty());
  EXPECT_TRUE(outliers(run_of("original", 0, {1, 1, 9}, 0)).empty());  // too few to tell
}

// The interval must hold the true median about 95 times in 100, with 5 samples too.
TEST(DerivedFigures, TheIntervalHoldsTheTrueMedian) {
  std::mt19937 random(7);
  std::normal_distribution<double> time(1, 0.05);
  for (const int samples : {3, 5, 20, 50}) {
    int held = 0;
    constexpr int kRuns = 2000;
    for (int i = 0; i < kRuns; ++i) {
      std::vector<double> times;
      for (int k = 0; k < samples; ++k) times.push_back(time(random));
      const RunResult run = run_of("original", 0, times, 0);
      held += std::abs(median(times) - 1) <= median(times) * noise_percent(run) / 100;
    }
    EXPECT_NEAR(held, 0.95 * kRuns, 0.02 * kRuns) << samples;
  }
}

ProfileResult comparison() {
  ProfileResult result;
  result.original[0] = run_of("original", 0, {1.00, 1.00, 1.01}, 0);
  result.aa_first = result.original[0];
  result.aa_second = run_of("original", 0, {1.02, 1.02, 1.02}, 0);
  result.original[30] = run_of("original", 30, {0.80, 0.80, 0.80}, 3);
  result.optimized[30] = run_of("optimized", 30, {0.84, 0.84, 0.84}, 3);
  result.original[70] = run_of("original", 70, {0.60, 0.60, 0.60}, 300);
  result.optimized[70] = run_of("optimized", 70, {0.61, 0.61, 0.61}, 280);
  return result;
}

const Pick* find(const std::vector<Pick>& picks, const std::string& title) {
  for (const auto& pick : picks) {
    if (pick.title == title) return &pick;
  }
  return nullptr;
}

TEST(Recommendation, FollowsSpeedQualityAndNoise) {
  const auto picks = recommend(comparison());
  ASSERT_EQ(picks.size(), 3u);
  // 0.61 is within the A/A difference of 0.60 and of better quality.
  EXPECT_EQ(find(picks, "fastest")->variant, "optimized");
  EXPECT_EQ(find(picks, "fastest")->pruning_level, 70);
  EXPECT_NEAR(find(picks, "fastest")->speedup, 1 / 0.61, 1e-9);
  EXPECT_EQ(find(picks, "best with agency")->pruning_level, 70);
  // 1.25x for 3 % of perplexity beats 1.67x for four times the perplexity.
  EXPECT_EQ(find(picks, "best balance")->variant, "original");
  EXPECT_EQ(find(picks, "best balance")->pruning_level, 30);
}

TEST(Recommendation, NoiseDecidesNothing) {
  ProfileResult result = comparison();
  result.aa_second = run_of("original", 0, {3, 3, 3}, 0);  // everything drowns
  for (const auto& pick : recommend(result)) {
    EXPECT_LE(pick.quality->perplexity_delta_percent, 3) << pick.title;
    EXPECT_GT(pick.noise_percent, 99);
  }
}

// Wide noise: quality alone would pick the pruned original, slower than what has agency.
TEST(Recommendation, NoPickIsFasterThanTheFastest) {
  ProfileResult result;
  result.original[0] = run_of("original", 0, {0.7, 1.0, 1.6}, 0);
  result.original[30] = run_of("original", 30, {0.5, 0.9, 1.2}, 2);
  result.levels[1] = run_of("optimized", 30, {0.5, 0.95, 1.3}, 2.5);
  result.levels[2] = run_of("optimized", 30, {0.40, 0.41, 0.60}, 2.2);
  result.levels[3] = run_of("optimized", 30, {0.39, 0.40, 0.70}, 6);
  result.levels[3].agency = "off";
  for (auto& [level, run] : result.levels) run.level = level;
  const auto picks = recommend(result);
  ASSERT_EQ(picks.size(), 3u);
  for (const Pick& pick : picks) {
    EXPECT_LE(pick.tokens_per_second, picks[0].tokens_per_second) << pick.title;
  }
  EXPECT_EQ(picks[0].level, 2);
  EXPECT_EQ(picks[1].level, 2);
  EXPECT_NE(picks[0].reason.find("level 3, is 2.5 % ahead, within the noise"), std::string::npos)
      << picks[0].reason;
}

TEST(Recommendation, NeedsQuality) {
  ProfileResult result = comparison();
  for (auto* runs : {&result.original, &result.optimized}) {
    for (auto& [percent, run] : *runs) run.quality.reset();
  }
  EXPECT_TRUE(recommend(result).empty());
}

// Two single times can be close by chance: no precision follows from it.
TEST(Noise, IsUnknownOfSingleGenerations) {
  ProfileResult result;
  result.original[0] = run_of("original", 0, {1.000}, 0);
  result.aa_first = result.original[0];
  result.aa_second = run_of("original", 0, {1.001}, 0);
  result.optimized[0] = run_of("optimized", 0, {0.999}, 0);
  EXPECT_TRUE(std::isnan(difference_noise_percent(result)));
  result.recommendation = recommend(result);
  ASSERT_EQ(result.recommendation.size(), 3u);
  for (const Pick& pick : result.recommendation) {
    EXPECT_TRUE(std::isnan(pick.noise_percent)) << pick.title;
    EXPECT_EQ(pick.variant, "optimized") << pick.title;  // the faster one: nothing says they tie
  }
  const ResultFile file = read_result(to_json(result), "f");
  std::string exported;
  for (const auto& note : notes(file)) exported += note;
  for (const Finding& finding : findings(file)) exported += finding.figures;
  for (const std::string& text : {console_report(result), summary_markdown(result), exported}) {
    EXPECT_NE(text.find("--iterations 3 or more"), text.npos) << text;
    EXPECT_NE(text.find("noise unknown"), text.npos) << text;
    EXPECT_EQ(text.find("mean nothing"), text.npos) << text;
    EXPECT_EQ(text.find("\u00b1"), text.npos) << text;
  }
}

// Without level 0 the A/A row has two runs of its own, and both say how noisy the machine was.
TEST(Noise, CountsBothRunsOfTheAaRow) {
  ProfileResult result = comparison();
  result.aa_first = result.original[0];
  result.aa_second = result.original[0];
  const size_t with_its_cell = interleaved_runs(result).size();
  result.original.erase(0);
  EXPECT_EQ(interleaved_runs(result).size(), with_its_cell);
}

// Charts, tables and comparisons read a run's noise from the file; picks and the A/A row compute.
TEST(Noise, IsTheSameInEveryPlace) {
  ProfileResult result = comparison();
  for (RunResult* run : {&result.original[0], &result.original[70], &result.optimized[30],
                         &result.optimized[70], &*result.aa_second}) {
    run->generation_times = {1.00, 1.04, 1.11};
  }
  result.recommendation = recommend(result);
  const nlohmann::json document = to_json(result);
  const auto of = [&](const char* series, const char* key) {
    return document["pruning_comparison"][series][key]["noise_percent"].get<double>();
  };
  EXPECT_NEAR(std::hypot(of("original", "0"), of("original", "30")),
              pair_noise_percent(result, result.original[0], result.original[30]), 1e-9);
  EXPECT_GT(of("original", "30"), 0);  // three equal times alone would promise that it has none
  const auto& aa = document["aa_test"];
  EXPECT_NEAR(std::hypot(aa["first"]["noise_percent"].get<double>(),
                         aa["second"]["noise_percent"].get<double>()),
              aa["interval_percent"].get<double>(), 1e-9);
}

// The exported report says what summary.md does.
TEST(Noise, IsSaidInEveryReport) {
  ProfileResult result = comparison();
  result.aa_second = run_of("original", 0, {3, 5, 9}, 0);
  result.environment["conditions"] = {{{"neighbours_cpu_percent", 15.0}}};
  std::string exported;
  for (const auto& note : notes(read_result(to_json(result), "f"))) exported += note;
  for (const std::string& text : {console_report(result), summary_markdown(result), exported}) {
    EXPECT_NE(text.find("Give more --iterations"), text.npos) << text;
    EXPECT_NE(text.find("Other programs took 15 % of the cores"), text.npos) << text;
  }
}

TEST(TextTable, AlignsAndEscapes) {
  const TextTable table{{"Name", "Value"}, {{"a|b", "1.0"}, {"é", "-"}}};
  EXPECT_EQ(table.plain(), "Name  Value\n----  -----\na|b     1.0\né         -\n");
  EXPECT_EQ(table.markdown(), "| Name | Value |\n| --- | ---: |\n| a\\|b | 1.0 |\n| é | - |\n");
}

TEST(TextTable, Numbers) {
  EXPECT_EQ(format_number(1234567.891, 1), "1,234,567.9");
  EXPECT_EQ(format_number(-999, 0), "-999");
  EXPECT_EQ(format_number(-1000, 0), "-1,000");
  EXPECT_EQ(format_number(NAN, 1), "-");
  EXPECT_EQ(format_change(3.14159), "+3.14 %");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(25.1e6), "25.1 MB");
}

TEST(Summary, HasItsSectionsAndARepeatableCommand) {
  ProfileResult result = comparison();
  result.args = {{"model_name", "my models/it's"},
                 {"pruning_levels", "0,30"},
                 {"isa", nullptr},
                 {"test_all_optimization_levels", true},
                 {"memory_profile", false}};
  result.loading = LoadingResult{};
  const std::string text = summary_markdown(result);
  for (const char* heading : {"# Sentinel AI Model Profiling Results", "## Environment",
                              "## Model Loading", "## Pruning Performance", "## Visualizations",
                              "## Recommendations", "## Reproduce This Test"}) {
    EXPECT_NE(text.find(heading), std::string::npos) << heading;
  }
  EXPECT_NE(text.find("sentinel profile --model_name 'my models/it'\\''s' --pruning_levels 0,30 "
                      "--test_all_optimization_levels\n"),
            std::string::npos)
      << text;
}

// What summary.md recommends, it qualifies as the exported report does.
TEST(Summary, SaysWhatCannotBeToldApartAndWhatIsNotAdvised) {
  ProfileResult result = comparison();
  for (const int level : {2, 3}) {
    result.levels[level] = run_of("optimized", 30, {0.40, 0.42, 0.38}, level == 2 ? 3 : 20);
    result.levels[level].level = level;
  }
  result.levels[3].generation_times.back() = 0.37;
  const std::string text = summary_markdown(result);
  EXPECT_NE(text.find("- **Best Pruning Level**: 70 % of the optimized model: "), text.npos);
  EXPECT_NE(text.find("not advised as it is: perplexity is 3.8 times"), text.npos) << text;
  const size_t line = text.find("- **Recommended Optimization Level**: level ");
  ASSERT_NE(line, text.npos) << text;
  EXPECT_NE(text.find(" not distinguishable within the noise", line), text.npos) << text;
}

TEST(ResultJson, WhatWasNotMeasuredIsNullAndBytesAreMadeValid) {
  RunResult run = run_of("original", 0, {0.1}, 0);
  run.decode_times.clear();
  run.quality.reset();
  run.generated_text = "cut \xE2\x82";
  const auto document = nlohmann::json::parse(to_text(to_json(run, {})));
  EXPECT_TRUE(document["decode_tokens_per_second"].is_null());
  EXPECT_TRUE(document["perplexity"].is_null());
  EXPECT_TRUE(document["noise_percent"].is_null());
  EXPECT_EQ(document["tokens_scored"], 0);
  EXPECT_EQ(document["generated_text"], "cut \xEF\xBF\xBD");
}

TEST(LevelsNote, SaysWhichPromiseIsBroken) {
  ProfileResult result;
  for (const auto& [level, perplexity] : {std::pair{0, 50.0}, {2, 50.4}, {3, 53.0}}) {
    result.levels[level].quality = QualityFigures{};
    result.levels[level].quality->perplexity = perplexity;
  }
  const std::string note = levels_note(result);
  EXPECT_NE(note.find("Level 2: perplexity +0.80 % of level 0's, within the +1 %"), note.npos);
  EXPECT_NE(note.find("Level 3: perplexity +6.00 % of level 0's, beyond the +4 %"), note.npos);
  result.levels.erase(0);
  EXPECT_EQ(levels_note(result), "");
}

TEST(LevelsNote, SaysWhatTheOptimizedModelBreaksWithoutALevelsTest) {
  ProfileResult result;
  result.original[0] = run_of("original", 0, {0.1}, 0);
  result.optimized[0] = run_of("optimized", 0, {0.1}, 0.8);
  for (auto* run : {&result.original[0], &result.optimized[0]}) run->quality->perplexity = 50;
  RunResult& run = result.optimized[0];
  run.level = 2;
  run.weights = run.lm_head = "int8";
  run.kv = "bf16";
  run.quality->perplexity = 50.4;
  EXPECT_EQ(promise_note(result), "");
  run.quality->perplexity = 50.6;
  EXPECT_NE(promise_note(result).find("+1.20 % of the f32 model's, beyond the +1 %"),
            std::string::npos);
  run.kv = "int8";  // asked for: not the level's own
  EXPECT_EQ(promise_note(result), "");
}

TEST(Recommendation, SaysAtOnceWhatIsNotAdvised) {
  ProfileResult result;
  result.original[0] = run_of("original", 0, {1, 1, 1}, 0);
  result.original[70] = run_of("original", 70, {0.5, 0.5, 0.5}, 300);
  for (const Pick& pick : recommend(result)) {
    EXPECT_EQ(pick.warning.empty(), pick.pruning_level == 0) << pick.title;
    EXPECT_EQ(describe(pick).find("Not advised") == std::string::npos, pick.pruning_level == 0);
    if (pick.pruning_level == 70) {
      EXPECT_NE(pick.warning.find("4.0 times"), std::string::npos);
    }
  }
  ASSERT_FALSE(recommend(result).empty());
  EXPECT_EQ(recommend(result)[0].pruning_level, 70);
}

}  // namespace
}  // namespace sentinel
