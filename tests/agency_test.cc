// Steering heads from the command line: scripts, presets, means, thresholds.
#include "run_sentinel.h"

namespace sentinel::e2e {
namespace {

using nlohmann::json;

json run_json(std::vector<std::string> arguments) {
  arguments.push_back("--json");
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return outcome.json();
}

std::vector<std::string> greedy(std::vector<std::string> more) {
  std::vector<std::string> words = {"generate",      "-p", "The captain", "-n", "40",
                                    "--temperature", "0"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(AgencyScriptOption, SwitchesHeadsBetweenTokensAndReportsIt) {
  TemporaryFolder folder;
  std::string lines = "# three heads of every layer go for a while\n";
  for (int layer = 0; layer < 8; ++layer) {
    for (int head = 0; head < 3; ++head) {
      const std::string id = std::to_string(layer) + " " + std::to_string(head);
      lines += "10 " + id + " withdrawn\n30 " + id + " active\n";
    }
  }
  lines += "12 0 7 consent off\n14 0 7 active\n99 1 1 gate 0.5\n";
  write_all(folder / "script.txt", lines);
  const json plain = run_json(greedy({}));
  const json result = run_json(greedy({"--agency_script", folder / "script.txt"}));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(result["tokens"][i], plain["tokens"][i]);
  EXPECT_NE(result["tokens"], plain["tokens"]);
  EXPECT_EQ(result["agency_script"]["events"].size(), 50U);
  EXPECT_EQ(result["agency_script"]["not_reached"], 1);
  EXPECT_EQ(result["agency_report"]["total_violations"], 1);
  EXPECT_EQ(result["agency_report"]["heads_active"], 63);
  const json& layer = result["agency_report"]["layer_reports"]["0"];
  EXPECT_EQ(layer["recent_violations"][0]["head_idx"], 7);
  EXPECT_EQ(layer["heads"][7]["consent"], false);
  EXPECT_GT(layer["heads"][0]["utilization"].get<double>(), 0);
  EXPECT_EQ(result["agency_report"]["step"], 40);
}

TEST(AgencyScriptOption, ChangesBehindTheEndAreNamed) {
  TemporaryFolder folder;
  write_all(folder / "s", "200 0 3 withdrawn\n2 0 4 withdrawn\n300 0 3 active\n");
  const std::vector<std::string> arguments = {"generate",        "-p",         "x",     "-n", "4",
                                              "--agency_script", folder / "s", "--json"};
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "agency_script line 1: token 200 was never reached (and 1 more)\n");
}

TEST(AgencyScriptOption, BadScriptsAreUsageErrors) {
  TemporaryFolder folder;
  const auto fails = [&](const std::string& text, const std::string& hint,
                         std::vector<std::string> more = {}) {
    write_all(folder / "s", text);
    more.insert(more.end(), {"--agency_script", folder / "s"});
    const Outcome outcome = run(greedy(more));
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err.find(hint), std::string::npos) << outcome.err;
  };
  fails("1 2 3 asleep\n", "line 1");
  fails("", "no change in it");
  fails("# 1 2 3 active\n", "no change in it");
  fails("1 0 0 active\n1 8 0 active\n", "line 2");
  fails("2 0 0 withdrawn\n4 0 0 active\n", "removed from memory", {"--level", "3"});
  EXPECT_EQ(run(greedy({"--agency_script", folder / "none"})).exit_code, 2);
}

TEST(AgencyMode, TrackingChangesNothingAndAutoDoes) {
  const auto sampled = [](std::vector<std::string> more) {
    std::vector<std::string> words = {"generate", "-p", "The captain", "-n", "60", "--seed", "5"};
    words.insert(words.end(), more.begin(), more.end());
    return run_json(words);
  };
  const json off = sampled({"--agency", "off"});
  const json track = sampled({"--agency", "track"});
  const json automatic =
      sampled({"--agency", "auto", "--overload_threshold", "0.2", "--recovery_period", "45"});
  EXPECT_EQ(off["tokens"], track["tokens"]);
  EXPECT_NE(off["tokens"], automatic["tokens"]);
  EXPECT_EQ(off["tracking_interval"], 0);
  EXPECT_EQ(track["tracking_interval"], 1);
  EXPECT_EQ(automatic["agency_report"]["automatic"], true);
  EXPECT_EQ(automatic["agency_report"]["recovery_period"], 45);
  int overloaded = 0;
  for (const auto& [layer, report] : automatic["agency_report"]["layer_reports"].items()) {
    overloaded += report["overloaded_heads"].get<int>();
  }
  EXPECT_GT(overloaded, 0);
  EXPECT_EQ(run(greedy({"--agency", "auto", "--overload_threshold", "7"})).exit_code, 2);
  const Outcome idle = run(greedy({"--recovery_period", "45"}));
  EXPECT_EQ(idle.exit_code, 2);
  EXPECT_NE(idle.err.find("belong to --agency auto"), std::string::npos) << idle.err;
}

TEST(AgencyScriptOption, HeadsMayReturnWithAHole) {
  TemporaryFolder folder;
  write_all(folder / "script.txt", "3 0 3 withdrawn\n3 2 1 withdrawn\n20 0 3 active\n");
  const json exact = run_json(greedy({"--agency_script", folder / "script.txt"}));
  const json hole =
      run_json(greedy({"--agency_script", folder / "script.txt", "--kv_return", "hole"}));
  EXPECT_EQ(exact["kv_return"], "exact");
  EXPECT_EQ(hole["kv_return"], "hole");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(exact["tokens"][i], hole["tokens"][i]);
  const Outcome shown =
      run(greedy({"--agency_script", folder / "script.txt", "--kv_return", "hole"}));
  EXPECT_NE(shown.err.find("kv_return hole (an approximation)"), std::string::npos) << shown.err;
  EXPECT_EQ(run(greedy({"--kv_return", "none"})).exit_code, 2);
  EXPECT_EQ(run(greedy({"--kv_return", "hole", "--level", "3"})).exit_code, 2);
}

TEST(PresetOption, EvalSavesWhatItMeasuredAndGenerateUsesIt) {
  TemporaryFolder folder;
  const std::string heads = "0:1,2:3,5:7,7:0";
  const json eval = run_json({"eval", "--max_windows", "1", "--close_heads", heads, "--against",
                              kMini, "--save_preset", folder / "p.json", "--preset_name", "few"});
  const json preset = json::parse(read_all(folder / "p.json"));
  EXPECT_EQ(preset["name"], "few");
  EXPECT_EQ(preset["heads"].size(), 4U);
  EXPECT_EQ(preset["measured"]["perplexity"], eval["perplexity"]);
  EXPECT_EQ(preset["measured"]["perplexity_base"], eval["perplexity_base"]);
  EXPECT_EQ(preset["measured"]["tokens_scored"], 511);
  const json by_preset = run_json(greedy({"--preset", folder / "p.json"}));
  EXPECT_EQ(by_preset["tokens"], run_json(greedy({"--close_heads", heads}))["tokens"]);
  EXPECT_EQ(by_preset["agency_report"]["heads_active"], 60);
  EXPECT_EQ(run_json(greedy({"--preset", folder / "p.json", "--level",
                             "3"}))["agency_report"]["layer_reports"]["0"]["heads"][1]["removed"],
            true);
  // A preset keeps what it says of heads that level 3 removes.
  write_all(
      folder / "no.json",
      R"({"format": "sentinel preset 1", "name": "no", "heads_per_layer": [8, 8, 8, 8, 8, 8, 8, 8], "heads": [
                {"layer": 0, "head": 1, "state": "active", "gate": 0.25, "consent": false}]})");
  const json no = run_json(greedy({"--preset", folder / "no.json", "--level", "3"}));
  const json head = no["agency_report"]["layer_reports"]["0"]["heads"][1];
  EXPECT_EQ(head["consent"], false);
  EXPECT_EQ(head["gate"], 0.25);
  EXPECT_EQ(head["removed"], true);
  // Closed by both, and not in memory whoever closed them.
  const json both =
      run_json(greedy({"--preset", folder / "p.json", "--close_heads", "0:1,3:3", "--level", "3"}));
  const json closed = run_json(greedy({"--close_heads", heads + ",3:3", "--level", "3"}));
  EXPECT_EQ(both["tokens"], closed["tokens"]);
  EXPECT_EQ(both["weight_bytes"], closed["weight_bytes"]);
  write_all(folder / "bad.json", "{}");
  EXPECT_EQ(run(greedy({"--preset", folder / "bad.json"})).exit_code, 2);
}

TEST(PresetOption, HeadsSavesWhatItMeasuredOrNothing) {
  TemporaryFolder folder;
  const std::string heads = "0:1,2:3,5:7,7:0";
  const json saved = run_json({"heads", "--save_preset", folder / "p.json", "--preset_name", "few",
                               "--close_heads", heads, "--max_windows", "1"});
  const json preset = json::parse(read_all(folder / "p.json"));
  EXPECT_EQ(saved["preset"], preset);
  EXPECT_EQ(preset["name"], "few");
  EXPECT_EQ(preset["heads"].size(), 4U);
  const json& measured = preset["measured"];
  const json eval =
      run_json({"eval", "--text", measured["text"], "--max_windows", "1", "--close_heads", heads});
  EXPECT_NEAR(measured["perplexity"].get<double>(), eval["perplexity"].get<double>(), 1e-9);
  EXPECT_EQ(measured["text_sha256"], eval["text_sha256"]);
  EXPECT_GT(measured["decode_tokens_per_second"].get<double>(), 0);
  EXPECT_EQ(run_json(greedy({"--preset", folder / "p.json"}))["tokens"],
            run_json(greedy({"--close_heads", heads}))["tokens"]);
  run_json(
      {"heads", "--save_preset", folder / "q.json", "--preset", folder / "p.json", "--unmeasured"});
  const json quiet = json::parse(read_all(folder / "q.json"));
  EXPECT_EQ(quiet["heads"], preset["heads"]);
  EXPECT_FALSE(quiet.contains("measured"));
  EXPECT_EQ(run({"heads", "--close_heads", heads}).exit_code, 2);
  EXPECT_EQ(run({"heads", "--save_preset", folder / "r.json", "--close_heads", "9:0"}).exit_code,
            2);
  EXPECT_FALSE(fs::exists(folder / "r.json"));
}

TEST(Verify, GivesTheBaselinesTextAndReportsAcceptance) {
  for (const std::vector<std::string>& how :
       {std::vector<std::string>{"--temperature", "0"}, {"--seed", "4"}}) {
    std::vector<std::string> words = {"generate", "-p", "The captain", "-n", "80"};
    words.insert(words.end(), how.begin(), how.end());
    const json plain = run_json(words);
    words.insert(words.end(), {"--baseline_integration", "verify", "--close_heads", "1:1,2:2,3:3",
                               "--draft_length", "3"});
    const json verified = run_json(words);
    EXPECT_EQ(verified["tokens"], plain["tokens"]);
    EXPECT_EQ(verified["weights"], "f32");
    EXPECT_EQ(verified["draft"]["weights"], "int8");
    EXPECT_EQ(verified["agency_report"]["heads_active"], 61);  // the drafting model's
    const json& report = verified["verify"];
    EXPECT_EQ(report["steps"], 79);
    EXPECT_LT(report["baseline_passes"], 79);
    EXPECT_GT(report["speed_up"], 0);
    EXPECT_EQ(report["drafters"][0]["name"], "ngram");
    EXPECT_GT(report["drafters"][1]["accepted"], 0);
  }
}

TEST(Verify, WhatDoesNotExistIsAUsageError) {
  const auto fails = [](std::vector<std::string> more, const std::string& hint) {
    const Outcome outcome = run(greedy(more));
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_NE(outcome.err.find(hint), std::string::npos) << outcome.err;
  };
  fails({"--baseline_integration", "mix"}, "no fitted weights; fit them with sentinel prune");
  fails({"--unet", "on"}, "no fitted weights; fit them with sentinel prune");
  fails({"--unet", "maybe"}, "choose one of off, on");
  fails({"--baseline_integration", "blend"}, "choose one of");
  fails({"--draft_length", "3"}, "give that too");
  fails({"--baseline_integration", "verify", "--draft_length", "9"}, "out of range");
}

}  // namespace
}  // namespace sentinel::e2e
