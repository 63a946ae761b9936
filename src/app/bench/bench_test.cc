#include "app/bench/bench.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/error.h"

namespace sentinel {
namespace {

std::shared_ptr<const Checkpoint> mini() {
  return Checkpoint::open(std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini");
}

TEST(Bench, ComparesTrackingAndRemovalInOneRun) {
  BenchOptions options;
  options.prompts = {0};
  options.generations = {3};
  options.threads = {1};
  options.repetitions = 1;
  options.heads_closed = {0, 50};
  options.heads_removed = {50};
  options.agency = {AgencyMode::off, AgencyMode::track};
  for (const int level : {1, 3}) {
    options.model.level = level;
    const BenchResult result = run_bench(mini(), options);
    ASSERT_EQ(result.rows.size(), 6U);
    for (size_t i = 0; i < 6; ++i) {
      const BenchRow& row = result.rows[i];
      EXPECT_EQ(row.info.agency, i % 2 ? AgencyMode::track : AgencyMode::off);
      EXPECT_EQ(row.heads_closed_percent, i / 2 == 1 ? 50 : 0);
      EXPECT_EQ(row.heads_removed_percent, i / 2 == 2 ? 50 : 0);
      EXPECT_EQ(row.heads_active, i / 2 == 0 ? 64 : 32);
    }
    EXPECT_EQ(result.rows[2].bytes_per_token, result.rows[4].bytes_per_token);
    EXPECT_EQ(result.rows[2].info.weight_bytes > result.rows[4].info.weight_bytes, level < 3);
  }
}

TEST(Bench, EmptyListsAreRefused) {
  for (auto list : {&BenchOptions::depths, &BenchOptions::batches, &BenchOptions::heads_closed}) {
    BenchOptions options;
    (options.*list).clear();
    options.heads_removed.clear();
    EXPECT_THROW(run_bench(mini(), options), Error);
  }
}

TEST(Bench, RowsCoverTheMatrixAndAddUp) {
  BenchOptions options;
  options.prompts = {12};
  options.generations = {5};
  options.depths = {0, 8};
  options.batches = {1, 3};
  options.threads = {1};
  options.heads_closed = {0, 50};
  options.repetitions = 2;
  const BenchResult result = run_bench(mini(), options);
  ASSERT_EQ(result.rows.size(), 16U);
  EXPECT_FALSE(result.interrupted);
  for (const BenchRow& row : result.rows) {
    EXPECT_EQ(row.samples_ts.size(), 2U);
    EXPECT_GT(row.median_ts, 0);
    EXPECT_GT(row.bandwidth_fraction, 0);
    EXPECT_GT(row.flops_fraction, 0);
    EXPECT_GT(row.machine_gbps, 0);
    EXPECT_GT(row.peak_rss_mb, 0);
    EXPECT_LE(row.step_ms_p50, row.step_ms_p99);
    EXPECT_EQ(row.n_threads, 1);
    EXPECT_EQ(row.heads_active, row.heads_closed_percent == 0 ? 64 : 32);
    EXPECT_NEAR(row.bandwidth_gbps, row.bytes_per_token * row.median_ts / 1e9, 1e-9);
  }
  const auto find = [&](const std::string& test, int batch, int closed) {
    return *std::find_if(result.rows.begin(), result.rows.end(), [&](const BenchRow& row) {
      return row.test == test && row.batch == batch && row.heads_closed_percent == closed;
    });
  };
  EXPECT_LT(find("tg5", 1, 50).bytes_per_token, find("tg5", 1, 0).bytes_per_token);
  EXPECT_LT(find("tg5", 1, 0).bytes_per_token, find("tg5@d8", 1, 0).bytes_per_token);
  EXPECT_LT(find("tg5", 3, 0).bytes_per_token, find("tg5", 1, 0).bytes_per_token / 2);
  EXPECT_LT(find("pp12", 1, 0).bytes_per_token, find("tg5", 1, 0).bytes_per_token / 11);
}

TEST(Bench, ACancelFlagEndsItAndKeepsWhatWasMeasured) {
  BenchOptions options;
  options.prompts = {4};
  options.generations = {0};
  options.threads = {1};
  options.repetitions = 100;
  std::atomic<bool> cancel{false};
  options.cancel = &cancel;
  const BenchResult result = run_bench(mini(), options, [&](const BenchProgress& p) {
    if (p.done == 4) cancel = true;
  });
  EXPECT_TRUE(result.interrupted);
  ASSERT_EQ(result.rows.size(), 1U);
  EXPECT_EQ(result.rows[0].samples_ts.size(), 3U);
}

TEST(Bench, WhatDoesNotFitIsAnErrorAndDefaultsAreCutToTheContext) {
  const auto attempt = [](auto change) {
    BenchOptions options;
    options.repetitions = 1;
    options.warmup = 0;
    change(options);
    return run_bench(mini(), options);
  };
  EXPECT_THROW(attempt([](BenchOptions& o) { o.prompts = {513}; }), Error);
  EXPECT_THROW(attempt([](BenchOptions& o) { o.depths = {600}; }), Error);
  EXPECT_THROW(attempt([](BenchOptions& o) { o.prompts = o.generations = {0}; }), Error);
  EXPECT_THROW(attempt([](BenchOptions& o) { o.threads = {0}; }), Error);
  EXPECT_THROW(attempt([](BenchOptions& o) { o.batches = {0}; }), Error);
  EXPECT_THROW(attempt([](BenchOptions& o) { o.heads_closed = {101}; }), Error);
  EXPECT_THROW(attempt([](BenchOptions& o) { o.repetitions = 0; }), Error);
  const BenchResult cut = attempt([](BenchOptions& o) {
    o.depths = {500};
    o.threads = {1};
  });
  ASSERT_EQ(cut.rows.size(), 2U);
  EXPECT_EQ(cut.rows[0].test, "pp12@d500");
  EXPECT_EQ(cut.rows[1].test, "tg12@d500");
}

TEST(Bench, ALargerShareOfHeadsHoldsTheSmaller) {
  const ModelConfig config = mini()->config();
  EXPECT_EQ(random_heads(config, 30, 1).size(), 19U);
  const auto half = random_heads(config, 50, 1), most = random_heads(config, 70, 1);
  EXPECT_TRUE(std::equal(half.begin(), half.end(), most.begin()));
  EXPECT_NE(half, random_heads(config, 50, 2));
  EXPECT_EQ(half, random_heads(config, 50, 1));
}

}  // namespace
}  // namespace sentinel
