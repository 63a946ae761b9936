#include "app/sweep/resume.h"

#include <gtest/gtest.h>

#include <set>

#include "app/report/profile_json.h"
#include "app/report/profile_json_read.h"
#include "app/sweep/profile_arguments.h"
#include "app/sweep/profile_fixture.h"
#include "app/sweep/profile_run.h"
#include "base/error.h"

namespace sentinel {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::schema_errors;

class ResumeTest : public testing::ProfileFixture {
 protected:
  // Every section there is.
  ProfileOptions everything() const {
    ProfileOptions options = tiny();
    options.profile_mode = "all";
    options.trace_export = true;
    options.export_csv = true;
    options.pruning_levels = "50";
    options.max_footprint_mb = 2;
    return options;
  }
  // Stops when the n-th message of `stage` comes.
  ProfileResult stopped_at(const ProfileOptions& options, const std::string& stage, int n) {
    std::atomic<bool> cancel{false};
    int seen = 0;
    return run_profile(
        options,
        [&](const ProfileProgress& now) {
          if (now.stage == stage && ++seen == n) cancel = true;
        },
        &cancel);
  }
};

TEST_F(ResumeTest, OptionsComeBackFromTheirArguments) {
  ProfileOptions options = everything();
  options.model_options.isa = "scalar";
  options.model_options.kv = KvType::bf16;
  options.custom_prompts = "p.txt";
  options.multi_model_comparison = true;
  options.compare_models = {"a", "gpt2, mine", " c "};
  const json args = args_json(options);
  EXPECT_EQ(args_json(options_from_args(args)), args);
  EXPECT_EQ(options_from_args(args).compare_models, options.compare_models);
}

TEST_F(ResumeTest, EveryArgumentIsListedOnce) {
  ProfileOptions changed;
  std::set<std::string> names;
  const auto change = [&](const char* name, auto field) {
    auto& value = changed.*field;
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
      value = name;
    } else {
      value = !value;
    }
    EXPECT_TRUE(names.insert(name).second) << name;
  };
  visit_arguments<ProfileOptions>(change);
  visit_optional_texts<ProfileOptions>(change);
  const json before = args_json({}), after = args_json(changed);
  const std::set<std::string> others = {"specific_model_size",
                                        "device",
                                        "pruning_levels",
                                        "multi_model_comparison",
                                        "compare_models",
                                        "threads",
                                        "isa",
                                        "optimization_level",
                                        "weights",
                                        "lm_head",
                                        "kv",
                                        "agency"};
  for (const auto& [name, value] : after.items()) {
    EXPECT_NE(names.contains(name), others.contains(name)) << name;
    EXPECT_EQ(value != before[name], names.contains(name)) << name;
  }
  EXPECT_EQ(after.size(), names.size() + others.size());
  EXPECT_EQ(args_json(options_from_args(after)), after);
}

TEST_F(ResumeTest, AResultComesBackFromItsFile) {
  ProfileOptions options = everything();
  options.cpu_specific_optimizations = true;
  const ProfileResult result = run_profile(options);
  const json document = saved();
  ProfileResult again = read_profile_result(document, "x");
  again.recommendation = result.recommendation;
  again.run_folder = result.run_folder;
  again.interrupted = false;
  again.memory = result.memory;  // its derived figures are measured anew
  const json copy = to_json(again);
  for (const auto& [key, value] : document.items()) EXPECT_TRUE(copy[key] == value) << key;
  EXPECT_EQ(copy.size(), document.size());
}

TEST_F(ResumeTest, MeasuresOnlyWhatIsMissing) {
  const std::pair<const char*, int> stops[] = {{"loading", 1}, {"ranking heads", 1},
                                               {"timing", 4},  {"recording operations", 3},
                                               {"quality", 3}, {"throughput", 7}};
  for (const auto& [stage, n] : stops) {
    fs::remove_all(folder_);
    const ProfileResult first = stopped_at(everything(), stage, n);
    ASSERT_TRUE(first.interrupted) << stage;
    const json before = saved();
    EXPECT_EQ(schema_errors(before), "") << stage;
    for (const auto& name : first.traces) EXPECT_TRUE(fs::exists(run_folder() / "traces" / name));
    std::set<std::string> stages;
    const ProfileResult whole = resume_profile(
        first.run_folder, [&](const ProfileProgress& now) { stages.insert(now.stage); });
    EXPECT_FALSE(whole.interrupted) << stage;
    const std::set<std::string> traces(whole.traces.begin(), whole.traces.end());
    EXPECT_EQ(traces.size(), whole.traces.size()) << stage;  // each is named once
    const json after = saved();
    EXPECT_EQ(schema_errors(after), "") << stage;
    EXPECT_EQ(after["environment"]["resumed"].size(), 1U);
    for (const json& run : after["pruning_comparison"]["optimized"]) {
      EXPECT_EQ(run["generation_times"].size(), 2U) << stage;
      EXPECT_FALSE(run["perplexity"].is_null()) << stage;
    }
    const json compared = before.value("pruning_comparison", json::object());
    for (const auto& [name, runs] : compared.items()) {
      for (const auto& [percent, run] : runs.items()) {
        // What was there is still there, sample by sample.
        const json& kept = run.at("generation_times");
        const json& now = after.at("pruning_comparison").at(name).at(percent)["generation_times"];
        EXPECT_LE(kept.size(), now.size()) << stage;
        EXPECT_TRUE(std::equal(kept.begin(), kept.end(), now.begin())) << stage;
      }
    }
    if (before.contains("model_loading")) {
      EXPECT_EQ(before["model_loading"], after["model_loading"]) << stage;
      EXPECT_FALSE(stages.contains("loading")) << stage;
    }
    EXPECT_EQ(after["throughput_test"].size(), 6U) << stage;
    for (const json& kept : before.value("throughput_test", json::object())) {
      if (!kept.contains("prompt")) continue;  // "overall"
      const json& now = after["throughput_test"];
      EXPECT_TRUE(std::any_of(now.begin(), now.end(), [&](const json& run) {
        if (run.value("full_prompt", "") != kept["full_prompt"]) return false;
        const json &a = kept["generation_times"], &b = run["generation_times"];
        return a.size() <= b.size() && std::equal(a.begin(), a.end(), b.begin());
      })) << kept["prompt"];
    }
    EXPECT_TRUE(fs::exists(run_folder() / "csv_reports/summary.csv"));
    EXPECT_TRUE(fs::exists(run_folder() / "traces/original_pruning50_trace.json"));
  }
}

TEST_F(ResumeTest, AWholeRunStaysAsItIs) {
  const ProfileResult whole = run_profile(tiny());
  const std::string before = read_file(whole.result_file);
  try {
    resume_profile(whole.run_folder);
    ADD_FAILURE() << "nothing is missing";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("nothing is missing"), std::string::npos);
  }
  EXPECT_EQ(read_file(whole.result_file), before);
}

TEST_F(ResumeTest, RefusesWhatItCannotGoOnWith) {
  const auto message = [](const std::string& folder) {
    try {
      resume_profile(folder);
    } catch (const Error& error) {
      EXPECT_NE(error.kind(), ErrorKind::runtime);
      return std::string(error.what());
    }
    return std::string("none");
  };
  EXPECT_NE(message("/no/such/run").find("full_model_profiling.json"), std::string::npos);
  const ProfileResult run = run_profile(tiny());
  const fs::path file = run.result_file;
  const json good = read_json(file);
  json other = good;
  other["environment"]["cpu_model"] = "a faster one";
  write_file_atomic(file, other.dump());
  EXPECT_NE(message(run.run_folder).find("another processor"), std::string::npos);
  for (const char* key : {"args", "environment", "schema_version"}) {
    other = good;
    other.erase(key);
    write_file_atomic(file, other.dump());
    EXPECT_NE(message(run.run_folder).find(file.string()), std::string::npos) << key;
  }
  const std::pair<const char*, json> damage[] = {
      {"/pruning_comparison/original/0/generation_times", "fast"},
      {"/pruning_comparison/original/0/heads_active", 1e30},
      {"/pruning_comparison/original/0/tokens_generated", json::array()},
      {"/pruning_comparison/original/0/batch_size", 0},
      {"/pruning_comparison/original/0/tokens_generated/0", 1e30},
      {"/pruning_strategy/removal_order", {{0}}},
      {"/environment", json::array()},
      {"/environment/resumed", "today"},
      {"/environment/conditions", {{"neighbours_cpu_percent", 1}}},
      {"/environment/conditions/0", json::object()},
      {"/environment/measured_bandwidth", 4},
      {"/args/iterations", 1e30}};
  for (const auto& [place, value] : damage) {
    other = good;
    other[json::json_pointer(place)] = value;
    write_file_atomic(file, other.dump());
    EXPECT_NE(message(run.run_folder).find(file.string()), std::string::npos) << place;
  }
}

TEST_F(ResumeTest, RefusesOtherInputs) {
  fs::create_directories(folder_);
  const std::string text = folder_ / "text", prompts = folder_ / "prompts";
  const std::string words = "Once upon a time there was a girl who lived in a small house.\n";
  std::string page;
  for (int i = 0; i < 60; ++i) page += words;
  write_file_atomic(text, page);
  write_file_atomic(prompts, words);
  const std::string points = folder_ / "points";
  std::string book;
  while (book.size() < 16 * page.size()) book += page;
  write_file_atomic(points, book);
  ProfileOptions options = tiny();
  options.text = text;
  options.custom_prompts = prompts;
  options.test_integration_points = true;
  options.calibration = points;
  const ProfileResult first = stopped_at(options, "fitting integration points", 1);
  ASSERT_TRUE(first.interrupted);
  const auto refused = [&](const std::string& path, const std::string& bytes, const char* what) {
    write_file_atomic(path, "x" + bytes);
    try {
      resume_profile(first.run_folder);
      ADD_FAILURE() << what;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
    }
    write_file_atomic(path, bytes);
  };
  refused(text, page, "the text changed");
  refused(prompts, words, "the prompts changed");
  refused(points, book, "the integration_text changed");
  EXPECT_NO_THROW(check_inputs(open_earlier_run(first.run_folder), first.environment["inputs"]));
}

TEST_F(ResumeTest, RefusesAnotherOrderOfRemoval) {
  const ProfileResult run = run_profile(tiny());
  const json good = saved();
  const json order = good["pruning_strategy"]["removal_order"];
  const auto refused = [&](const json& changed) {
    json other = good;
    other["pruning_strategy"]["removal_order"] = changed;
    write_file_atomic(run.result_file, other.dump());
    EXPECT_THROW(resume_profile(run.run_folder), Error) << changed.dump();
  };
  refused(json::array());
  json changed = order;
  changed[0] = {99, 0};
  refused(changed);
  changed[0] = order[1];
  refused(changed);
}

}  // namespace
}  // namespace sentinel
