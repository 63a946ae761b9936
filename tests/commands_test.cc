// The commands as a user runs them: outputs, contract keys, interruption.
#include "run_sentinel.h"

namespace sentinel::e2e {
namespace {

using nlohmann::json;

json reference() { return json::parse(read_all(kMini + "/reference.json")); }

json run_json(std::vector<std::string> arguments, const RunOptions& options = {}) {
  arguments.push_back("--json");
  const Outcome outcome = run(arguments, options);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return outcome.json();
}

void expect_keys(const json& document, std::initializer_list<const char*> keys) {
  for (const char* key : keys) EXPECT_TRUE(document.contains(key)) << key;
}

TEST(Commands, HelpAndVersion) {
  const Outcome help = run({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_EQ(help.err, "");
  for (const char* command : {"generate", "eval", "bench", "info"}) {
    EXPECT_NE(help.out.find(command), std::string::npos);
    const Outcome one = run({command, "--help"});
    EXPECT_EQ(one.exit_code, 0);
    EXPECT_NE(one.out.find("--json"), std::string::npos);
    EXPECT_NE(one.out.find("--optimization_level"), std::string::npos);
  }
  const std::string cmake = read_all(std::string(SENTINEL_SOURCE_DIR) + "/CMakeLists.txt");
  const Outcome version = run({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  const std::string number = version.out.substr(9, version.out.find('\n') - 9);
  for (const char* part : {"sentinel ", "commit ", "instruction sets: ", "scalar"}) {
    EXPECT_NE(version.out.find(part), std::string::npos) << part << " in " << version.out;
  }
  EXPECT_NE(cmake.find("VERSION " + number), std::string::npos) << number;
  EXPECT_EQ(run({}).exit_code, 2);
}

TEST(Generate, GreedyTextIsThePublishedModelsAtLevels0And1) {
  const json prompt = reference()["prompts"][0];
  for (const char* level : {"0", "1"}) {
    const json result = run_json({"generate", "-m", kMini, "-p", prompt["text"], "-n", "32",
                                  "--temperature", "0", "--optimization-level", level});
    EXPECT_EQ(result["prompt_tokens"], prompt["ids"]);
    EXPECT_EQ(result["tokens"], prompt["greedy_ids"]);
    EXPECT_EQ(result["text"], prompt["continuation"]);
    EXPECT_EQ(result["stop_reason"], "length");
    EXPECT_EQ(result["level"], std::stoi(level));
    expect_keys(result,
                {"load_ms", "first_token_ms", "prefill_tokens_per_second",
                 "decode_tokens_per_second", "seed", "threads", "isa", "weights", "step_ns"});
    EXPECT_EQ(result["step_ns"].size(), 31U);
  }
}

TEST(Generate, ASpeedThatWasNotMeasuredIsNoZero) {
  const Outcome outcome = run({"generate", "-p", "Once", "-n", "1"});
  EXPECT_NE(outcome.err.find("decode -;"), std::string::npos) << outcome.err;
}

TEST(Generate, StdoutHoldsTheTextAlone) {
  const json prompt = reference()["prompts"][0];
  const std::string text = prompt["text"], continuation = prompt["continuation"];
  const Outcome outcome =
      run({"generate", "--prompt_file", "-", "--max-new-tokens", "32", "--temperature", "0"},
          {.input = text});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out, continuation + "\n");
}

TEST(Generate, TheSameSeedGivesTheSameTextWithAnyNumberOfThreads) {
  const auto text = [](const std::string& seed, const std::string& threads) {
    return run_json({"generate", "-p", "The captain", "-n", "40", "--seed", seed, "-t", threads})
        .at("text");
  };
  const json first = text("11", "1");
  EXPECT_EQ(first, text("11", "2"));
  EXPECT_EQ(first, text("11", "3"));
  EXPECT_NE(first, text("12", "1"));
}

TEST(Generate, StopStringsAndTheReportedSeed) {
  const std::vector<std::string> words = {"generate", "-p",     "It was a cold winter morning, and",
                                          "-n",       "60",     "--stop",
                                          "the",      "--stop", "."};
  const json result = run_json(words);
  const std::string text = result["text"];
  EXPECT_EQ(text.find("the"), std::string::npos);
  EXPECT_EQ(text.find('.'), std::string::npos);
  auto again = words;
  again.insert(again.end(), {"--seed", std::to_string(result["seed"].get<uint64_t>())});
  EXPECT_EQ(run_json(again)["text"], text);
}

TEST(Generate, TheEnvironmentSetsTheLevelAndTheArgumentWins) {
  const RunOptions environment{.environment = {{"OPTIMIZATION_LEVEL", "0"}}};
  EXPECT_EQ(run_json({"generate", "-p", "x", "-n", "1"}, environment)["level"], 0);
  EXPECT_EQ(run_json({"generate", "-p", "x", "-n", "1", "--level", "1"}, environment)["level"], 1);
  EXPECT_EQ(run_json({"generate", "-p", "x", "-n", "1"})["level"], 1);
}

TEST(Eval, HasTheContractKeysAndFollowsTheReference) {
  TemporaryFolder folder;
  const std::string text = std::string(SENTINEL_SOURCE_DIR) + "/texts/validation.txt";
  const json result = run_json({"eval", "-m", kMini, "--text", text, "--max_windows", "2",
                                "--against", kMini, "--output", folder / "eval.json"});
  expect_keys(result,
              {"perplexity", "nll_mean", "bits_per_byte", "tokens_scored", "window", "text_sha256",
               "level", "isa", "kl_mean", "kl_p50", "kl_p99", "top1_agreement", "perplexity_base"});
  const json windows = reference()["perplexity"]["validation.txt"]["window_nll_first20"];
  const double nll = (windows[0].get<double>() + windows[1].get<double>()) / 2;
  EXPECT_NEAR(result["nll_mean"], nll, 1e-4);
  EXPECT_EQ(result["tokens_scored"], 2 * 511);
  EXPECT_LT(result["kl_mean"], 1e-6);
  EXPECT_EQ(result["top1_agreement"], 1.0);
  EXPECT_NEAR(result["perplexity_base"], result["perplexity"], 1e-4);
  EXPECT_EQ(json::parse(read_all(folder / "eval.json")), result);
}

TEST(Eval, TextsComeFromStandardInputToo) {
  const TemporaryFolder folder;
  const std::string text = folder / "text";
  write_all(text, sentences(8));
  RunOptions piped;
  piped.input = sentences(8);
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"eval"}, {"heads", "--seed", "1"}}) {
    const auto on = [&](const std::string& name) {
      std::vector<std::string> arguments = command;
      arguments.insert(arguments.end(), {"--text", name, "--json"});
      const Outcome outcome = run(arguments, piped);
      EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
      return outcome.json();
    };
    const json file = on(text), input = on("-");
    EXPECT_EQ(file["text_sha256"], input["text_sha256"]);
    const char* result = command[0] == "eval" ? "perplexity" : "scores";
    EXPECT_EQ(file[result], input[result]);
  }
}

TEST(Eval, AnInterruptKeepsWhatWasMeasured) {
  const Outcome outcome = run({"eval", "--json"}, {.interrupt_after_s = 1.5});
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  const json result = outcome.json();
  EXPECT_EQ(result["interrupted"], true);
  EXPECT_EQ(result["tokens_scored"], result["windows"].get<int>() * 511);
}

TEST(Bench, RowsHoldTheContractKeys) {
  const json result = run_json({"bench", "-p", "8", "-n", "4", "-d", "0,8", "-b", "2", "-t", "1,2",
                                "-r", "2", "--warmup", "0", "--heads_closed", "0,50"});
  ASSERT_EQ(result["rows"].size(), 16U);
  for (const json& row : result["rows"]) {
    expect_keys(row, {"test", "n_threads", "level", "weights", "isa", "avg_ts", "stddev_ts",
                      "median_ts", "samples_ts", "bytes_per_token", "bandwidth_gbps",
                      "bandwidth_fraction", "flops_fraction", "peak_rss_mb", "step_ms", "batch"});
    EXPECT_EQ(row["samples_ts"].size(), 2U);
  }
  EXPECT_EQ(result["rows"][0]["test"], "pp8");
}

TEST(Bench, LevelZeroSaysWhatItDoesWithout) {
  const Outcome outcome =
      run({"bench", "--level", "0", "--isa", "avx2", "-p", "2", "-n", "0", "-r", "1", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["rows"][0]["isa"], "scalar");
  EXPECT_NE(outcome.err.find("--isa change nothing"), std::string::npos) << outcome.err;
}

TEST(Info, TellsOfTheModelTheLevelsAndTheMachine) {
  const json result = run_json({"info", "-m", kMini, "--levels"});
  const json& model = result["model"];
  EXPECT_EQ(model["parameters"], 7498240);
  EXPECT_EQ(model["heads_per_layer"], json(std::vector<int>(8, 8)));
  int64_t roles = 0, tensors = 0;
  for (const auto& [role, bytes] : model["bytes_by_role"].items()) roles += bytes.get<int64_t>();
  for (const json& tensor : model["tensors"]) tensors += tensor["bytes"].get<int64_t>();
  EXPECT_EQ(roles, tensors);  // every tensor has a role, none is counted twice
  EXPECT_EQ(model["bytes"], tensors);
  ASSERT_EQ(result["levels"].size(), 4U);
  for (int level = 0; level < 4; ++level) EXPECT_EQ(result["levels"][level]["level"], level);
  EXPECT_EQ(result["levels"][0]["kv_cache"], false);
  const Outcome text = run({"info"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_NE(text.out.find("7498240"), std::string::npos);
}

TEST(Info, TypesThatLevel0DoesNotHaveAreThoseOfTheOtherLevels) {
  const json levels = run_json({"info", "--levels", "--weights", "int8", "--kv", "bf16"})["levels"];
  ASSERT_EQ(levels.size(), 4U);
  EXPECT_EQ(levels[0]["weights"], "f32");
  for (int level = 1; level < 4; ++level) EXPECT_EQ(levels[level]["weights"], "int8") << level;
  const Outcome text = run({"info", "--levels"});
  EXPECT_NE(text.out.find("agency"), std::string::npos);
  EXPECT_NE(text.out.find("track, 1 of 8"), std::string::npos);
}

TEST(Info, TellsWhatTheCheckpointAsksFor) {
  const TemporaryFolder model;
  for (const auto& entry : fs::directory_iterator(kMini)) {
    if (entry.path().filename() == "config.json") continue;
    fs::create_symlink(entry.path(), model.path() / entry.path().filename());
  }
  json config = json::parse(read_all(kMini + "/config.json"));
  config["sentinel"]["weights"] = {{"2", "bf16"}, {"3", "int6"}};
  write_all(model / "config.json", config.dump());
  const std::string name = model.path().string();
  EXPECT_EQ(run_json({"info", "-m", name})["model"]["weights_of_level"],
            config["sentinel"]["weights"]);
  EXPECT_NE(run({"info", "-m", name}).out.find("level 3 holds its layers as int6"),
            std::string::npos);
}

TEST(Generate, SpecialTokensAreTextUnlessAskedFor) {
  const Outcome text = run({"generate", "-m", kMini, "-p", "<|endoftext|>", "-n", "1", "--json"});
  EXPECT_GT(text.json()["prompt_tokens"].size(), 1U);
  const json token =
      run_json({"generate", "-m", kMini, "-p", "<|endoftext|>", "-n", "1", "--parse_special"});
  EXPECT_EQ(token["prompt_tokens"].size(), 1U);
  EXPECT_TRUE(token["decode_tokens_per_second"].is_null());  // no token after the first
}

TEST(Generate, Level3TracksHeadsWhereThatIsAskedFor) {
  const std::vector<std::string> level3 = {
      "generate", "-m", kMini, "-p", "Once", "-n", "2", "--optimization_level", "3"};
  EXPECT_EQ(run_json(level3)["agency"], "off");
  auto asked = level3;
  asked.insert(asked.end(), {"--agency", "track"});
  EXPECT_EQ(run_json(asked)["agency"], "track");
}

TEST(Commands, TheLastOfTwoEqualOptionsCounts) {
  const json result = run_json({"generate", "-m", kMini, "-p", "Once", "-n", "1", "--seed", "1",
                                "--seed", "2", "--temperature", "0"});
  EXPECT_EQ(result["seed"], 2);
}

TEST(Commands, OptionsWithoutTheirTestAreRefusedOrRemarkedUpon) {
  EXPECT_EQ(run({"eval", "-m", kMini, "--preset_name", "x"}).exit_code, 2);
  EXPECT_EQ(run({"eval", "-m", kMini, "--against_level", "1"}).exit_code, 2);
  const TemporaryFolder folder;
  const Outcome profile = run({"profile",
                               "-m",
                               kMini,
                               "--disable_unet",
                               "--profile_mode",
                               "component",
                               "--pruning_levels",
                               "0",
                               "--iterations",
                               "1",
                               "--warmup",
                               "0",
                               "--generated_tokens",
                               "2",
                               "--strategy",
                               "magnitude",
                               "--max_footprint_mb",
                               "0",
                               "--max_eval_windows",
                               "1",
                               "--calibration",
                               std::string(SENTINEL_SOURCE_DIR) + "/texts/calibration.txt",
                               "--output_dir",
                               folder / "out"});
  EXPECT_EQ(profile.exit_code, 0);
  EXPECT_NE(profile.err.find("--disable_unet has no effect without"), std::string::npos);
  EXPECT_NE(profile.err.find("--calibration has no effect without"), std::string::npos);
  EXPECT_NE(profile.err.find("--pruning_levels has no effect with --profile_mode component"),
            std::string::npos);
}

TEST(Commands, AClosedStderrIsNoFailureAClosedStdoutIs) {
  const auto exit_code = [](const std::string& streams) {
    const std::string command = std::string(SENTINEL_BINARY) + " generate -m " + kMini +
                                " -p Once -n 2 --temperature 0 < /dev/null" + streams;
    return WEXITSTATUS(std::system(command.c_str()));
  };
  EXPECT_EQ(exit_code(" > /dev/null 2>&-"), 0);
  EXPECT_EQ(exit_code(" 2> /dev/null >&-"), 1);
}

TEST(Commands, AFullDiskIsAFailureWhileRunning) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const std::string command =
      std::string(SENTINEL_BINARY) + " info -m " + kMini + " > /dev/full 2> /dev/null";
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

}  // namespace
}  // namespace sentinel::e2e
