#include "app/report/previous_run.h"

#include <gtest/gtest.h>

#include <map>

#include "app/report/result_file.h"

namespace sentinel {
namespace {

using nlohmann::json;

const std::string kThen = std::string(SENTINEL_SOURCE_DIR) + "/tests/data/full_result.json";

// "original 30 %, tokens_per_second" -> "faster"
std::map<std::string, std::string> verdicts(const json& now) {
  std::map<std::string, std::string> out;
  for (const auto& row : comparison_table(compare_with_previous(kThen, now)).rows) {
    out[row[0] + ", " + row[1]] = row.back();
  }
  return out;
}

TEST(Comparison, HasNoVerdictOnOtherWork) {
  json now = load_result_file(kThen).document;
  json& original = now["pruning_comparison"]["original"];
  original["0"]["tokens_per_second"] = 1e6;
  original["30"]["tokens_per_second"] = 1e6;
  original["30"]["batch_size"] = 7;
  original["30"]["threads"] = 77;
  original["30"]["perplexity"] = 1e4;
  now["optimization_levels"]["2"]["kv"] = "f16";
  now["args"]["weights"] = "int6";
  auto found = verdicts(now);
  EXPECT_EQ(found["original 0 %, tokens_per_second"], "faster");
  EXPECT_EQ(found["original 30 %, tokens_per_second"], "not comparable: other batch_size, threads");
  EXPECT_EQ(found["original 30 %, perplexity"], "higher");  // neither changes it
  EXPECT_EQ(found["level 2, tokens_per_second"], "not comparable: other kv");
  EXPECT_EQ(found["level 2, perplexity"], "not comparable: other kv");
  EXPECT_EQ(found["level 1, tokens_per_second"], "no difference");
  EXPECT_EQ(found["loading Optimized, load_time"], "not comparable: other weights");
  EXPECT_EQ(found["loading Original, load_time"].find("not comparable"), std::string::npos);

  now["quality_protocol"]["text_sha256"] = "another text";
  found = verdicts(now);
  EXPECT_EQ(found["original 30 %, perplexity"], "not comparable: other text_sha256");
  EXPECT_EQ(found["original 0 %, tokens_per_second"], "faster");
  now["environment"]["cpu_model"] = "another processor";
  found = verdicts(now);
  EXPECT_EQ(found["original 0 %, tokens_per_second"], "not comparable: other cpu_model");
  EXPECT_EQ(found["OVERALL, tokens_per_second"], "not comparable: other cpu_model");
}

TEST(Comparison, OfSingleGenerationsHasUnknownNoise) {
  json now = load_result_file(kThen).document;
  json& run = now["pruning_comparison"]["original"]["0"];
  run["tokens_per_second"] = 1e6;
  run["noise_percent"] = nullptr;
  run["generation_times"] = {0.1};
  EXPECT_EQ(verdicts(now)["original 0 %, tokens_per_second"], "noise unknown");
}

}  // namespace
}  // namespace sentinel
