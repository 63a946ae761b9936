// profile, benchmark, verify and head means through the public API.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "sentinel/sentinel.h"

namespace sentinel {
namespace {

using nlohmann::json;

const std::string kMini = std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini";

class Measuring : public testing::Test {
 protected:
  Measuring()
      : folder_(testing::TempDir() + "sentinel_measure_" + std::to_string(getpid()) +
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(folder_);
  }
  ~Measuring() override { std::filesystem::remove_all(folder_); }

  ProfilingOptions small_run() const {
    ProfilingOptions options;
    options.model_name = kMini;
    options.threads = 1;
    options.pruning_levels = {0, 50};
    options.strategy = "magnitude";
    options.sequence_length = 8;
    options.generated_tokens = 3;
    options.iterations = 2;
    options.warmup = 0;
    options.max_eval_windows = 1;
    options.max_footprint_mb = 0;
    options.output_dir = folder_;
    return options;
  }

  const std::string folder_;
};

TEST_F(Measuring, ProfileWritesTheResultFileThatItReturns) {
  ProfilingOptions options = small_run();
  options.optimization_level = 2;
  std::vector<std::string> stages;
  options.on_progress = [&](const ProfilingProgress& now) {
    if (stages.empty() || stages.back() != now.stage) stages.push_back(now.stage);
  };
  const ProfilingResult result = profile(options);
  EXPECT_FALSE(result.interrupted);
  EXPECT_EQ(json::parse(result.json), read_json(result.result_file));
  EXPECT_TRUE(std::filesystem::exists(result.run_folder + "/summary.md"));
  const json document = json::parse(result.json);
  EXPECT_EQ(document["args"]["pruning_levels"], "0,50");
  EXPECT_EQ(document["pruning_comparison"]["optimized"]["50"]["level"], 2);
  EXPECT_EQ(document["pruning_comparison"]["original"]["50"]["heads_pruned"].size(), 32U);
  EXPECT_NE(result.report.find("Recommendation"), std::string::npos);
  EXPECT_GT(std::count(stages.begin(), stages.end(), "quality"), 0);
}

TEST_F(Measuring, AStoppedProfileIsKeptAndResumed) {
  ProfilingOptions options = small_run();
  std::stop_source stop;
  options.cancel = stop.get_token();
  options.on_progress = [&](const ProfilingProgress& now) {
    if (now.stage == "timing" && now.done == 3) stop.request_stop();
  };
  const ProfilingResult stopped = profile(options);
  ASSERT_TRUE(stopped.interrupted);
  EXPECT_TRUE(json::parse(stopped.json)["interrupted"].get<bool>());
  const auto timed = json::parse(stopped.json)["pruning_comparison"]["original"]["0"];
  EXPECT_GE(timed["generation_times"].size(), 1U);

  const ProfilingResult whole = resume_profile(stopped.run_folder);
  EXPECT_FALSE(whole.interrupted);
  EXPECT_EQ(whole.run_folder, stopped.run_folder);
  const auto again = json::parse(whole.json)["pruning_comparison"]["original"]["0"];
  EXPECT_EQ(again["generation_times"].size(), 2U);
  EXPECT_EQ(again["generation_times"][0], timed["generation_times"][0]);
}

TEST_F(Measuring, WhatACallbackThrowsPassesThroughAndTheRunIsKept) {
  ProfilingOptions options = small_run();
  options.on_progress = [](const ProfilingProgress& now) {
    if (now.stage == "timing" && now.done == 3) throw std::out_of_range("enough");
  };
  EXPECT_THROW(profile(options), std::out_of_range);
  const std::filesystem::directory_iterator runs(folder_);
  const json kept = read_json(runs->path() / "data/full_model_profiling.json");
  EXPECT_TRUE(kept["interrupted"].get<bool>());
  EXPECT_GE(kept["pruning_comparison"]["original"]["0"]["generation_times"].size(), 1U);
}

TEST_F(Measuring, BadProfilesWriteNothing) {
  const auto refused = [&](const std::function<void(ProfilingOptions&)>& change, const char* part) {
    ProfilingOptions options = small_run();
    change(options);
    try {
      profile(options);
      ADD_FAILURE() << part;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  refused([](auto& o) { o.pruning_levels = {}; }, "pruning_levels");
  refused([](auto& o) { o.pruning_levels = {101}; }, "101");
  refused([](auto& o) { o.optimization_level = 7; }, "7");
  refused([](auto& o) { o.strategy = "luck"; }, "luck");
  refused([](auto& o) { o.model_name = "no/such"; }, "no/such");
  refused([](auto& o) { o.compare_models = {"gpt2"}; }, "compare_models");
  EXPECT_FALSE(std::filesystem::exists(folder_));
  EXPECT_THROW(resume_profile(folder_), Error);
}

TEST(Benchmark, RowsAreThoseOfTheDocument) {
  const BaselineModel mini = load_baseline_model(kMini);
  int calls = 0;
  const BenchmarkResult result = benchmark(
      mini, {.optimization_level = 2,
             .agency = {"off", "track"},
             .n_prompt = {16},
             .n_gen = {4},
             .threads = {1},
             .heads_closed = {0, 50},
             .repetitions = 2,
             .on_progress = [&](const BenchmarkProgress& now) { calls += now.total == 24; }});
  ASSERT_EQ(result.rows.size(), 8U);
  EXPECT_EQ(calls, 24);
  const json document = json::parse(result.json);
  ASSERT_EQ(document["rows"].size(), 8U);
  for (size_t i = 0; i < result.rows.size(); ++i) {
    const BenchmarkRow& row = result.rows[i];
    const json& same = document["rows"][i];
    EXPECT_EQ(row.test, same["test"]);
    EXPECT_EQ(row.samples_ts, same["samples_ts"].get<std::vector<double>>());
    EXPECT_EQ(row.heads_active, row.heads_closed_percent == 50 ? 32 : 64);
    EXPECT_EQ(row.weights, "int8");
    EXPECT_GT(row.median_ts, 0);
    EXPECT_GT(row.machine_gbps, 0);
  }
  EXPECT_THROW(benchmark(mini, {.n_prompt = {100000}}), Error);
  EXPECT_THROW(benchmark(mini, {.agency = {"perhaps"}}), Error);
}

TEST(Benchmark, AStopKeepsTheRunsBeforeIt) {
  std::stop_source stop;
  const BenchmarkResult result =
      benchmark(load_baseline_model(kMini), {.n_prompt = {8},
                                             .n_gen = {2},
                                             .threads = {1},
                                             .repetitions = 1000,
                                             .warmup = 0,
                                             .cancel = stop.get_token(),
                                             .on_progress = [&](const BenchmarkProgress& now) {
                                               if (now.done == 3) stop.request_stop();
                                             }});
  EXPECT_TRUE(result.interrupted);
  ASSERT_EQ(result.rows.size(), 2U);
  EXPECT_EQ(result.rows[0].samples_ts.size(), 2U);
  EXPECT_EQ(result.rows[1].samples_ts.size(), 1U);
}

TEST(Verify, TextAndLogitsAreTheDenseModelsWhateverTheHeads) {
  const BaselineModel mini = load_baseline_model(kMini);
  AdaptiveModel plain = load_adaptive_model(mini, {.optimization_level = 1});
  AdaptiveModel model = load_adaptive_model(
      mini, {.optimization_level = 1, .baseline_integration = "verify", .draft_length = 4});
  EXPECT_EQ(model.optimization_level(), 1);
  EXPECT_EQ(model.info().baseline_integration, "verify");
  ControllerOptions controller;
  controller.tokens_per_second = 100;
  EXPECT_THROW(model.set_controller(controller), Error);
  EXPECT_THROW(model.set_timing(true), Error);
  EXPECT_EQ(model.info().draft_weights, "int8");
  EXPECT_GT(model.info().weight_bytes, plain.info().weight_bytes);
  const GenerationOptions greedy{.max_new_tokens = 24, .temperature = 0};
  const GenerationResult expected = plain.generate("Once upon a time", greedy);
  EXPECT_FALSE(expected.verification);
  for (const int percent : {0, 50}) {
    model.prune(percent);
    const GenerationResult result = model.generate("Once upon a time", greedy);
    EXPECT_EQ(result.tokens, expected.tokens);
    ASSERT_TRUE(result.verification);
    EXPECT_LT(result.verification->baseline_passes, result.verification->steps);
    EXPECT_EQ(result.verification->drafters.size(), 2U);
    EXPECT_EQ(model.generate_ids(result.prompt_tokens, greedy).tokens, expected.tokens);
  }
  EXPECT_EQ(model.get_agency_report().heads_active, 32);
  const std::vector<int32_t> ids = mini.encode("The ship sailed");
  EXPECT_EQ(model.forward(ids).values, plain.forward(ids).values);
}

TEST(Verify, AModelPrunedInMemoryDraftsForTheOneItCameFrom) {
  const BaselineModel mini = load_baseline_model(kMini);
  const BaselineModel small =
      prune_model(mini, {.heads = 30, .strategy = "magnitude", .recover = "none"});
  AdaptiveModel plain = load_adaptive_model(mini, {.optimization_level = 1});
  AdaptiveModel model = load_adaptive_model(
      small, {.optimization_level = 1, .baseline_integration = "verify", .draft_ngrams = false},
      mini);
  const GenerationOptions sampled{.max_new_tokens = 16, .seed = 5};
  EXPECT_EQ(model.generate("Once", sampled).tokens, plain.generate("Once", sampled).tokens);
  EXPECT_EQ(model.info().heads, 45);
}

TEST(Verify, NonsenseIsRefused) {
  const BaselineModel mini = load_baseline_model(kMini);
  const auto refused = [&](const AdaptiveOptions& options, const char* part) {
    try {
      load_adaptive_model(mini, options);
      ADD_FAILURE() << part;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  refused({.baseline_integration = "blend"}, "blend");
  refused({.draft_weights = "int8"}, "verify");
  refused({.draft_ngrams = false}, "verify");
  refused({.baseline_integration = "verify", .draft_length = 9}, "draft_length");
  refused({.baseline_integration = "verify", .draft_weights = "int2"}, "int2");
  refused({.baseline_integration = "verify", .integration_baseline = "no/such"}, "no/such");
  EXPECT_THROW(load_adaptive_model(
                   mini, {.baseline_integration = "verify", .integration_baseline = kMini}, mini),
               Error);
}

TEST_F(Measuring, HeadMeansOfSavedStatisticsRepairClosedHeads) {
  const BaselineModel mini = load_baseline_model(kMini);
  prune_model(mini, {.heads = 10,
                     .strategy = "output",
                     .recover = "none",
                     .calibration_text = read_file(bundled_text("calibration")).substr(0, 20000),
                     .save_stats = folder_});
  AdaptiveModel with = load_adaptive_model(mini, {.optimization_level = 1, .head_means = folder_});
  AdaptiveModel without = load_adaptive_model(mini, {.optimization_level = 1});
  EXPECT_TRUE(with.info().head_means);
  EXPECT_FALSE(without.info().head_means);
  std::ifstream file(bundled_text("validation"));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto perplexity = [&](AdaptiveModel& model) {
    return model.evaluate(text, {.max_windows = 2}).perplexity;
  };
  EXPECT_EQ(perplexity(with), perplexity(without));
  for (AdaptiveModel* model : {&with, &without}) model->prune(30);
  EXPECT_LT(perplexity(with), perplexity(without));
  with.set_gate(3, 3, 0.5F);
  with.save_pretrained(folder_ + "/saved", {.dtype = "f32"});
  AdaptiveModel saved =
      load_adaptive_model(load_baseline_model(folder_ + "/saved"), {.optimization_level = 1});
  EXPECT_NEAR(perplexity(saved), perplexity(with), 1e-4 * perplexity(with));
  EXPECT_THROW(load_adaptive_model(mini, {.head_means = folder_ + "/no"}), Error);
  EXPECT_THROW(prune_model(mini, {.heads = 10, .save_stats = folder_}), Error);
}

}  // namespace
}  // namespace sentinel
