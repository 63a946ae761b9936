// `sentinel prune`, `heads` and `diff` as users run them.
#include <algorithm>
#include <cmath>

#include "run_sentinel.h"

namespace sentinel::e2e {
namespace {

using nlohmann::json;

const std::vector<std::string> kQuick = {
    "--calibration_tokens", "2048", "--window",           "128",
    "--search_tokens",      "256",  "--max_eval_windows", "1"};

std::vector<std::string> prune(std::vector<std::string> arguments) {
  const auto given = [&](const std::string& name) {
    return std::find(arguments.begin(), arguments.end(), name) != arguments.end();
  };
  for (size_t i = 0; i + 1 < kQuick.size(); i += 2) {
    if (given(kQuick[i])) continue;
    arguments.insert(arguments.end(), {kQuick[i], kQuick[i + 1]});
  }
  if (!given("-m")) arguments.insert(arguments.end(), {"-m", kMini});
  arguments.insert(arguments.end(), {"--no_bench"});
  arguments.insert(arguments.begin(), "prune");
  return arguments;
}

TEST(PruneCommand, WritesInt8ThatLevelTwoTakesAsItIs) {
  const TemporaryFolder folder;
  const std::string out = folder / "int8";
  const Outcome pruned =
      run(prune({"--heads", "0", "--recover", "none", "--dtype", "int8", "--out", out, "--json"}));
  ASSERT_EQ(pruned.exit_code, 0) << pruned.err;
  const auto perplexity = [](const std::string& model, const std::string& level) {
    const Outcome eval =
        run({"eval", "-m", model, "--max_windows", "1", "--level", level, "--json"});
    EXPECT_EQ(eval.exit_code, 0) << eval.err;
    return eval.json()["perplexity"].get<double>();
  };
  EXPECT_EQ(perplexity(out, "2"), perplexity(kMini, "2"));
  EXPECT_NEAR(perplexity(out, "1"), pruned.json()["after"]["perplexity"].get<double>(), 1e-4);
  EXPECT_LT(fs::file_size(fs::path(out) / "model.safetensors"), 8'200'000U);
  const json info = run({"info", "-m", out, "--json"}).json()["model"];
  int64_t roles = 0;
  for (const auto& [role, bytes] : info["bytes_by_role"].items()) roles += bytes.get<int64_t>();
  EXPECT_EQ(roles, info["bytes"]);
  EXPECT_EQ(info["parameters"], 7498240);
}

TEST(PruneCommand, WritesASmallerModelThatEvalAgreesWith) {
  const TemporaryFolder folder;
  const std::string out = folder / "half";
  const Outcome pruned =
      run(prune({"--heads", "50", "--ffn", "25", "--out", out, "--json", "--round_to", "32"}));
  ASSERT_EQ(pruned.exit_code, 0) << pruned.err;
  const json result = pruned.json();
  EXPECT_EQ(result["plan"]["heads_removed"], 32);
  EXPECT_EQ(result["plan"]["neurons_removed"], 2048);
  int heads = 0;
  for (const json& n : result["after"]["heads_per_layer"]) heads += n.get<int>();
  EXPECT_EQ(heads, 32);
  for (const json& n : result["after"]["ffn_per_layer"]) EXPECT_EQ(n.get<int>() % 32, 0);
  EXPECT_LT(result["after"]["parameters"], result["before"]["parameters"]);
  EXPECT_LT(result["after"]["bytes_per_token"], result["before"]["bytes_per_token"]);
  for (const char* key : {"kl_mean", "top1_agreement"}) EXPECT_TRUE(result[key].is_number()) << key;

  const Outcome eval = run({"eval", "-m", out, "--max_windows", "1", "--json"});
  ASSERT_EQ(eval.exit_code, 0) << eval.err;
  EXPECT_NEAR(eval.json()["perplexity"].get<double>(), result["after"]["perplexity"].get<double>(),
              1e-6);

  // Levels 2 and 3 run with the types that were tried, unless another is asked for.
  for (const std::string level : {"2", "3"}) {
    const json& tried = result["levels"][level];
    EXPECT_LE(tried["perplexity_change_percent"], tried["preset_perplexity_change_percent"]);
    const auto runs = [&](std::vector<std::string> more) {
      more.insert(more.begin(), {"eval", "-m", out, "--max_windows", "1", "--level", level});
      more.emplace_back("--json");
      return run(more).json();
    };
    EXPECT_EQ(runs({})["weights"], tried["weights"]);
    EXPECT_EQ(runs({})["lm_head"], level == "2" ? "int8" : "int6");
    EXPECT_EQ(runs({"--weights", "int4"})["weights"], "int4");
  }

  // The plan beside the weights replays to the same model.
  const std::string again = folder / "again";
  const Outcome replayed = run(prune({"--plan", out + "/prune_plan.json", "--out", again}));
  ASSERT_EQ(replayed.exit_code, 0) << replayed.err;
  EXPECT_EQ(read_all(out + "/model.safetensors"), read_all(again + "/model.safetensors"));
  const Outcome same = run({"diff", out, again, "--json"});
  ASSERT_EQ(same.exit_code, 0) << same.err;
  EXPECT_TRUE(same.json()["identical"].get<bool>());
  const Outcome changed = run({"diff", kMini, out, "--json"});
  ASSERT_EQ(changed.exit_code, 0) << changed.err;
  EXPECT_FALSE(changed.json()["identical"].get<bool>());
  EXPECT_EQ(changed.json()["layers"][0]["qkv"], 0);  // only Wo, W_down and biases are refitted
}

TEST(PruneCommand, APaddedFolderIsDescribedAsItIs) {
  const TemporaryFolder folder;
  const std::string out = folder / "padded";
  const Outcome pruned =
      run(prune({"--heads", "50", "--strategy", "magnitude", "--padded", "--out", out, "--json"}));
  ASSERT_EQ(pruned.exit_code, 0) << pruned.err;
  const json result = pruned.json(), info = run({"info", "-m", out, "--json"}).json()["model"];
  EXPECT_TRUE(result["padded"].get<bool>());
  EXPECT_EQ(result["written"]["parameters"], info["parameters"]);
  EXPECT_GT(result["written"]["parameters"], result["after"]["parameters"]);
  EXPECT_EQ(result["written"]["heads_per_layer"], result["before"]["heads_per_layer"]);
  EXPECT_EQ(result["model"]["level"], 1);
}

TEST(PruneCommand, APlanBringsItsRecovery) {
  const TemporaryFolder folder;
  const std::string out = folder / "cut", again = folder / "again", other = folder / "other";
  const Outcome cut =
      run(prune({"--heads", "20", "--strategy", "magnitude", "--recover", "none", "--out", out}));
  ASSERT_EQ(cut.exit_code, 0) << cut.err;
  ASSERT_EQ(run(prune({"--plan", out + "/prune_plan.json", "--out", again})).exit_code, 0);
  EXPECT_EQ(read_all(out + "/model.safetensors"), read_all(again + "/model.safetensors"));
  ASSERT_EQ(run(prune({"--plan", out + "/prune_plan.json", "--recover", "bias", "--out", other}))
                .exit_code,
            0);
  EXPECT_NE(read_all(out + "/model.safetensors"), read_all(other + "/model.safetensors"));
}

TEST(PruneCommand, TargetsAreMet) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run(prune({"--target_params", "6900000", "--out", folder / "small", "--json"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const int64_t parameters = outcome.json()["after"]["parameters"];
  EXPECT_LE(parameters, 6900000);
  EXPECT_GT(parameters, 6600000);
  const Outcome impossible = run(prune({"--target_params", "10", "--out", folder / "none"}));
  EXPECT_EQ(impossible.exit_code, 1);
  EXPECT_NE(impossible.err.find("without any head and neuron"), std::string::npos)
      << impossible.err;
  EXPECT_FALSE(fs::exists(folder / "none"));
}

TEST(PruneCommand, PerplexityLimitIsKept) {
  const TemporaryFolder folder;
  const Outcome outcome = run(prune(
      {"--max_perplexity_increase", "5", "--out", folder / "small", "--calibration_tokens", "16384",
       "--round_to", "128", "--search_tokens", "1024", "--max_eval_windows", "4", "--json"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const json result = outcome.json(), plan = result["plan"];
  // Something was worth removing, and not everything is gone.
  EXPECT_GT(plan["heads_removed"].get<int>() + plan["neurons_removed"].get<int>(), 8);
  EXPECT_LT(plan["heads_removed"].get<int>(), 64);
  // The limit holds on held-out calibration windows; another text is another matter, but not far.
  EXPECT_LT(result["perplexity_ratio"].get<double>(), 1.15);
}

TEST(PruneCommand, SpeedTargetRemovesWhatItsOwnMeasurementAsksFor) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run(prune({"--target_speedup", "1.3", "--out", folder / "fast", "--json"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const json result = outcome.json();
  // How much it takes depends on the machine; that it is something, but not all, does not.
  EXPECT_LT(result["after"]["parameters"].get<int64_t>(),
            result["before"]["parameters"].get<int64_t>() * 95 / 100);
  EXPECT_FALSE(result["plan"]["steps"].empty());
  EXPECT_EQ(result["target_speedup"]["asked"], 1.3);
  EXPECT_TRUE(result["target_speedup"]["measured"].is_null());  // --no_bench
  EXPECT_EQ(run(prune({"--target_speedup", "900", "--out", folder / "none"})).exit_code, 1);
  EXPECT_FALSE(fs::exists(folder / "none"));
}

TEST(PruneCommand, ProtectedFirstPositionIsMeasuredBesideTheModelAlone) {
  const TemporaryFolder folder;
  const auto measured = [&](const std::string& recover) {
    const Outcome outcome = run(
        prune({"--heads", "50", "--strategy", "magnitude", "--recover", recover, "--protect_first",
               "on", "--calibration_tokens", "16384", "--out", folder / recover, "--json"}));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.json()["after"];
  };
  const json none = measured("none"), bias = measured("bias"), refit = measured("refit");
  EXPECT_NE(none["perplexity_protected"], none["perplexity"]);
  EXPECT_LT(refit["perplexity_protected"].get<double>(),
            1.01 * bias["perplexity_protected"].get<double>());
  EXPECT_LT(refit["perplexity_protected"].get<double>(),
            1.01 * none["perplexity_protected"].get<double>());
}

TEST(PruneCommand, DryRunWritesNothing) {
  const TemporaryFolder folder;
  const Outcome outcome = run(prune(
      {"--heads", "20", "--strategy", "magnitude", "--dry_run", "--out", folder / "x", "--json"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["plan"]["heads_removed"], 12);
  EXPECT_TRUE(fs::is_empty(folder.path()));
  // What it printed is a plan to replay.
  write_all(folder.path() / "result.json", outcome.out);
  const Outcome again = run(prune(
      {"--plan", folder / "result.json", "--recover", "none", "--out", folder / "y", "--json"}));
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.json()["plan"]["layers"], outcome.json()["plan"]["layers"]);
}

TEST(PruneCommand, InterruptWritesNothing) {
  const TemporaryFolder folder;
  RunOptions options;
  options.interrupt_after_s = 0.5;
  const Outcome outcome =
      run({"prune", "-m", kMini, "--heads", "50", "--out", folder / "x"}, options);
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(PruneCommand, RefusesBadInputAndWritesNothing) {
  const TemporaryFolder folder;
  const std::string out = folder / "out";
  write_all(folder.path() / "short.txt", "Too short.");
  write_all(folder.path() / "plan.json", R"({"format": "sentinel prune plan 1", "layers": []})");
  const auto refuses = [&](std::vector<std::string> arguments, const std::string& hint) {
    const Outcome outcome = run(prune(std::move(arguments)));
    EXPECT_EQ(outcome.exit_code, 2) << hint << outcome.err;
    EXPECT_NE(outcome.err.find(hint), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(out)) << hint;
  };
  refuses({"--heads", "101", "--out", out}, "0 to 100");
  refuses({"--ffn", "-3", "--out", out}, "0 to 100");
  refuses({"--heads", "10"}, "--out");
  refuses({"--out", out}, "nothing to remove");
  refuses({"--heads", "10", "--min_ridge", "2", "--out", out}, "min_ridge");
  refuses({"--heads", "10", "--out", out, "--strategy", "best"}, "best");
  refuses({"--heads", "10", "--out", out, "--recover", "magic"}, "magic");
  refuses({"--heads", "10", "--out", out, "--protect_first", "maybe"}, "maybe");
  refuses({"--heads", "10", "--out", out, "--calibration", folder / "short.txt"}, "longer");
  refuses({"--heads", "10", "--out", out, "--calibration", folder / "missing.txt"}, "missing.txt");
  refuses({"--out", out, "--plan", folder / "plan.json"}, "another model");
  for (const std::vector<std::string>& option :
       std::vector<std::vector<std::string>>{{"--heads", "20"},
                                             {"--ffn", "90"},
                                             {"--strategy", "obs"},
                                             {"--ffn_strategy", "obs"},
                                             {"--seed", "1"},
                                             {"--round_to", "16"}}) {
    refuses({"--out", out, "--plan", folder / "plan.json", option[0], option[1]},
            option[0] + ": --plan says what is removed");
  }
  refuses({"--heads", "10", "--out", out, "--stats", folder / "nowhere"}, "nowhere");
  refuses({"--heads", "10", "--target_params", "5", "--out", out}, "target");
  refuses({"--target_speedup", "2", "--ffn_strategy", "magnitude", "--out", out}, "--ffn_strategy");
  refuses({"--target_params", "7498240", "--out", out}, "has 7498240 parameters as it is");
  refuses({"--target_speedup", "1", "--out", out}, "that fast as it is");
  const Outcome exists = run(prune({"--heads", "10", "--out", folder.path().string()}));
  EXPECT_EQ(exists.exit_code, 2);
  EXPECT_NE(exists.err.find("exists"), std::string::npos) << exists.err;
}

// Nothing appears in the folder, one line on stderr, exit code 2.
void expect_refusal(const std::vector<std::string>& arguments, const fs::path& folder,
                    const std::string& hint) {
  const auto entries = [&] { return std::distance(fs::directory_iterator(folder), {}); };
  const auto before = entries();
  const Outcome outcome = run(prune(arguments));
  EXPECT_EQ(outcome.exit_code, 2) << hint << ": " << outcome.err;
  EXPECT_NE(outcome.err.find(hint), std::string::npos) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  EXPECT_EQ(entries(), before) << hint;
}

TEST(PruneCommand, RefusesPlansAndStatisticsOfAnotherModelOrText) {
  const TemporaryFolder folder;
  const std::string small = folder / "small", stats = folder / "stats", out = folder / "out";
  const Outcome made = run(prune({"--heads", "10", "--ffn", "10", "--strategy", "magnitude",
                                  "--recover", "none", "--save_stats", stats, "--out", small}));
  ASSERT_EQ(made.exit_code, 0) << made.err;
  // The same shape with other weights: a plan and statistics of one do not fit the other.
  const std::string twin = folder / "twin";
  fs::copy(kMini, twin);
  std::string weights = read_all(twin + "/model.safetensors");
  weights[weights.size() - 100] ^= 1;
  write_all(twin + "/model.safetensors", weights);
  const std::string plan = small + "/prune_plan.json";
  const auto on = [&](const std::string& model, std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-m", model, "--out", out});
    return arguments;
  };
  expect_refusal(on(twin, {"--plan", plan}), folder.path(), "another model");
  expect_refusal(on(small, {"--plan", plan}), folder.path(), "another model");
  expect_refusal(on(twin, {"--heads", "10", "--stats", stats}), folder.path(), "another model");
  expect_refusal(on(small, {"--heads", "10", "--stats", stats}), folder.path(), "another model");
  write_all(folder / "other.txt",
            read_all(std::string(SENTINEL_SOURCE_DIR) + "/texts/validation.txt"));
  expect_refusal(
      on(kMini, {"--heads", "10", "--stats", stats, "--calibration", folder / "other.txt"}),
      folder.path(), "another calibration text");
  // The same model and text take them.
  const Outcome good = run(
      prune({"--heads", "10", "--strategy", "obs", "--stats", stats, "--out", folder / "good"}));
  EXPECT_EQ(good.exit_code, 0) << good.err;
}

TEST(PruneCommand, RefusesFoldersThatExistAndTextsThatAreTooShort) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "there");
  write_all(folder / "short.txt", "Too short.");
  const std::string out = folder / "out";
  expect_refusal({"--heads", "10", "--out", folder / "there"}, folder.path(), "exists");
  expect_refusal({"--heads", "10", "--out", out, "--save_stats", folder / "there"}, folder.path(),
                 "exists");
  for (const char* option : {"--out", "--save_stats"}) {
    std::vector<std::string> arguments = {"--heads", "10", option, "/proc/sentinel/new"};
    if (option != std::string("--out")) arguments.insert(arguments.end(), {"--out", out});
    expect_refusal(arguments, folder.path(), "cannot write to this folder");
  }
  expect_refusal({"--heads", "10", "--out", out, "--calibration", folder / "short.txt"},
                 folder.path(), "longer");
  expect_refusal({"--heads", "10", "--out", out, "--save_stats", folder / "stats",
                  "--fit_integration", "--calibration_tokens", "300", "--window", "128"},
                 folder.path(), "windows");
  for (const char* percent : {"-1", "100.5", "nan"}) {
    expect_refusal({"--heads", percent, "--out", out}, folder.path(), "");
    expect_refusal({"--ffn", percent, "--out", out}, folder.path(), "");
  }
  EXPECT_TRUE(fs::is_empty(folder / "there"));
}

TEST(HeadsCommand, GivesEveryScoreOfEveryHeadAndDrawsThem) {
  const TemporaryFolder folder;
  const std::string map = folder / "map.svg";
  const Outcome outcome =
      run({"heads", "-m", kMini, "--max_windows", "1", "--heatmap", map, "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const json result = outcome.json();
  for (const char* name : {"random", "magnitude", "entropy", "output", "ablation", "obs"}) {
    ASSERT_EQ(result["scores"][name].size(), 8u) << name;
    for (const json& layer : result["scores"][name]) EXPECT_EQ(layer.size(), 8u) << name;
  }
  for (const json& layer : result["utilization"]) {
    for (const json& u : layer) {
      EXPECT_GE(u.get<double>(), 0);
      EXPECT_LE(u.get<double>(), 1);
    }
  }
  EXPECT_EQ(result["level"], 1);
  EXPECT_EQ(result["weights"], "f32");
  const std::string svg = read_all(map);
  EXPECT_TRUE(svg.starts_with("<svg"));
  EXPECT_NE(svg.find("layer 7, head 7"), std::string::npos);
  EXPECT_EQ(run({"heads", "-m", kMini, "--heatmap", folder / "map.pdf"}).exit_code, 2);
}

TEST(HeadsCommand, NoLimitOfWindowsIsTheWholeText) {
  const TemporaryFolder folder;
  write_all(folder / "text", sentences(40));
  const Outcome all = run({"heads", "--text", folder / "text", "--max_windows", "0", "--json"});
  ASSERT_EQ(all.exit_code, 0) << all.err;
  EXPECT_GT(all.json()["tokens"].get<int>(), 512);  // one window
  EXPECT_EQ(run({"heads", "--max_windows", "-1"}).exit_code, 2);
}

TEST(HeadsCommand, SaysWhatScoresDoNotDependOn) {
  const TemporaryFolder folder;
  write_all(folder / "text", sentences(2));
  const Outcome plain = run({"heads", "--text", folder / "text", "--json"});
  const Outcome asked =
      run({"heads", "--text", folder / "text", "--json", "--level", "2", "--weights", "int8"});
  ASSERT_EQ(asked.exit_code, 0) << asked.err;
  EXPECT_NE(asked.err.find("have no effect without --save_preset"), std::string::npos);
  EXPECT_EQ(plain.err.find("have no effect"), std::string::npos);
  EXPECT_EQ(asked.json()["scores"], plain.json()["scores"]);
  EXPECT_EQ(asked.json()["weights"], "f32");
}

TEST(DiffCommand, RefusesModelsOfAnotherShape) {
  EXPECT_EQ(run({"diff", kMini}).exit_code, 2);
  EXPECT_EQ(run({"diff", kMini, "/nowhere"}).exit_code, 2);
}

}  // namespace
}  // namespace sentinel::e2e
