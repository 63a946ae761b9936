// The controller from the command line, on the bundled model.
#include "run_sentinel.h"

namespace sentinel::e2e {
namespace {

using nlohmann::json;

const std::string kText = std::string(SENTINEL_SOURCE_DIR) + "/texts/validation.txt";

std::vector<std::string> generate(std::vector<std::string> more) {
  std::vector<std::string> words = {"generate",      "-p", "The captain", "-n", "120",
                                    "--temperature", "0"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

json run_json(std::vector<std::string> more) {
  more.push_back("--json");
  const Outcome outcome = run(generate(more));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return outcome.json();
}

std::vector<json> lines_of(const std::string& path) {
  std::vector<json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
  return lines;
}

// What is promised about perplexity is what `eval` finds with the heads that were left open.
TEST(ControllerOption, QualityHoldsByAnIndependentMeasurement) {
  TemporaryFolder folder;
  const json result = run_json({"--max_perplexity_increase", "1.5", "--controller_text", kText,
                                "--controller_windows", "2", "--controller_journal", folder / "j"});
  const json& controller = result["controller"];
  EXPECT_EQ(controller["goal"], "quality");
  EXPECT_EQ(controller["goal_met"], true);
  const int closed = controller["heads_closed"];
  EXPECT_GT(closed, 3);
  EXPECT_EQ(result["agency_report"]["heads_active"], 64 - closed);
  std::string heads;
  for (const auto& [layer, report] : result["agency_report"]["layer_reports"].items()) {
    for (size_t h = 0; h < report["heads"].size(); ++h) {
      if (report["heads"][h]["gate"] > 0) continue;
      heads += (heads.empty() ? "" : ",") + layer + ":" + std::to_string(h);
    }
  }
  const auto perplexity = [&](const std::string& close) {
    std::vector<std::string> words = {"eval", "--max_windows", "2", "--json"};
    if (!close.empty()) words.insert(words.end(), {"--close_heads", close});
    return run(words).json()["perplexity"].get<double>();
  };
  const double before = perplexity(""), after = perplexity(heads);
  EXPECT_NEAR(controller["perplexity_before"].get<double>(), before, 1e-6 * before);
  EXPECT_NEAR(controller["perplexity_after"].get<double>(), after, 1e-6 * after);
  EXPECT_LE(after, before * 1.015);
  const std::vector<json> journal = lines_of(folder / "j");
  EXPECT_EQ(json(journal), controller["moves"]);
  int gone = 0;
  for (const json& line : journal) {
    gone += line["gate_after"] == 0;
    for (const char* key : {"token", "layer", "head", "gate_before", "goal", "reason"}) {
      EXPECT_TRUE(line.contains(key)) << line;
    }
    EXPECT_TRUE(line["signal"].contains("perplexity_increase"));
  }
  EXPECT_EQ(gone, closed);
}

TEST(ControllerOption, SpeedOutOfReachClosesItsShareAndSaysSo) {
  TemporaryFolder folder;
  write_all(folder / "script", "0 0 0 withdrawn\n0 0 1 consent off\n0 1 1 gate 0.5\n");
  const json result = run_json({"--target_tokens_per_second", "1e8", "--controller_interval", "8",
                                "--max_heads_closed", "25", "--agency_script", folder / "script"});
  const json& controller = result["controller"];
  EXPECT_EQ(controller["goal"], "speed");
  EXPECT_EQ(controller["goal_met"], false);
  EXPECT_EQ(controller["heads_closed"], 16);
  EXPECT_EQ(result["agency_report"]["total_violations"], 0);
  for (const json& move : controller["moves"]) {
    EXPECT_FALSE(move["layer"] == 0 && move["head"] < 2) << move;
    EXPECT_GE(move["token"], 16);
  }
}

TEST(ControllerOption, AGoalThatIsMetMovesNothing) {
  const json plain = run_json({});
  EXPECT_FALSE(plain.contains("controller"));
  const json result = run_json({"--controller", "speed", "--target_tokens_per_second", "0.01"});
  EXPECT_EQ(result["tokens"], plain["tokens"]);
  EXPECT_EQ(result["controller"]["moves"].size(), 0U);
  EXPECT_EQ(result["controller"]["goal_met"], true);
}

TEST(ControllerOption, BadInputIsOneLineAndExitCode2) {
  TemporaryFolder folder;
  write_all(folder / "empty", "");
  write_all(folder / "short", "a");
  const auto fails = [](std::vector<std::string> more, const std::string& hint) {
    const Outcome outcome = run(generate(more));
    EXPECT_EQ(outcome.exit_code, 2) << hint;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_NE(outcome.err.find(hint), std::string::npos) << outcome.err;
  };
  const auto quality = [&](const std::string& text) -> std::vector<std::string> {
    return {"--max_perplexity_increase", "1", "--controller_text", text};
  };
  fails({"--controller", "speed"}, "no goal");
  fails({"--controller", "fast", "--target_tokens_per_second", "5"}, "choose one of");
  fails({"--controller", "quality", "--target_tokens_per_second", "5"}, "needs");
  fails({"--controller_journal", folder / "j"}, "no goal");
  fails({"--target_tokens_per_second", "0"}, "out of range");
  fails({"--target_tokens_per_second", "nan"}, "target_tokens_per_second");
  fails({"--target_tokens_per_second", "many"}, "target_tokens_per_second");
  fails({"--max_perplexity_increase", "1"}, "controller_text");
  fails({"--max_perplexity_increase", "-1", "--controller_text", kText}, "out of range");
  fails(quality(folder / "none"), "none");
  fails(quality(folder / "empty"), "empty");
  fails(quality(folder / "short"), "too few");
  fails({"--target_tokens_per_second", "5", "--controller_interval", "0"}, "out of range");
  fails({"--target_tokens_per_second", "5", "--max_heads_closed", "101"}, "out of range");
  fails({"--target_tokens_per_second", "5", "--controller_journal", "/proc/none/j"}, "/proc/none");
  fails({"--target_tokens_per_second", "5", "--level", "3"}, "level 3");
  fails({"--target_tokens_per_second", "5", "--level", "0"}, "level 0");
  fails({"--target_tokens_per_second", "5", "--agency", "off"}, "agency track");
  fails({"--target_tokens_per_second", "5", "--baseline_integration", "verify"}, "verify");
  auto automatic = quality(kText);
  automatic.insert(automatic.end(), {"--agency", "auto"});
  fails(automatic, "agency auto");
  EXPECT_FALSE(fs::exists(folder / "j"));
}

TEST(PerformanceStats, AreInTheReportOnlyWhenAskedFor) {
  const json plain = run_json({});
  EXPECT_FALSE(plain["agency_report"].contains("performance_stats"));
  const json timed = run_json({"--performance_stats"});
  EXPECT_EQ(timed["tokens"], plain["tokens"]);
  const json& stats = timed["agency_report"]["performance_stats"];
  const double total = stats["total_time"], ffn = stats["ffn_time"];
  EXPECT_GT(ffn, 0);
  EXPECT_GT(stats["attention_time"], 0);
  EXPECT_EQ(stats["baseline_time"], 0);
  EXPECT_NEAR(stats["ffn_percentage"].get<double>(), 100 * ffn / total, 1e-6);
}

}  // namespace
}  // namespace sentinel::e2e
