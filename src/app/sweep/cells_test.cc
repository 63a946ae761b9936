#include "app/sweep/cells.h"

#include <gtest/gtest.h>

#include "app/sweep/throughput.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel {
namespace {

const std::string kMini = std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini";

// Cells of sentinel-mini at level 1, one prompt of four tokens, five new ones.
struct Cells : ::testing::Test {
  Cells() : checkpoint(Checkpoint::open(kMini)), tokenizer(Tokenizer::load(kMini)) {
    asked.threads = 1;
    context.pool = &pool;
    context.tokenizer = tokenizer.get();
    context.work.prompts = {{10, 11, 12, 13}};
    context.work.generated_tokens = 5;
  }
  std::shared_ptr<const Checkpoint> checkpoint;
  std::unique_ptr<Tokenizer> tokenizer;
  ModelPool pool{checkpoint};
  ModelOptions asked;
  CellContext context{};
};

TEST_F(Cells, TrackNothingOfTheCellsBeforeThem) {
  const HeadId closed{3, 2};
  Cell dense = optimized_cell(asked, 0, {}), pruned = optimized_cell(asked, 2, {closed});
  time_once(context, dense);
  time_once(context, dense);
  time_once(context, pruned);
  ASSERT_EQ(prepare(context, dense), prepare(context, pruned)) << "they share a model";
  const auto& first = dense.run.agency_stats;
  const auto& second = pruned.run.agency_stats;
  EXPECT_GT(first.at("step"), 0);
  EXPECT_EQ(first.at("step"), second.at("step"));
  const auto model = prepare(context, pruned);
  EXPECT_EQ(model->heads().status(closed).utilization, 0);
}

// A run that goes on finds each prompt's samples again, also where a prompt stands twice.
TEST_F(Cells, EqualPromptsKeepTheirOwnThroughput) {
  const Prompt prompt{"the same", 4, {10, 11, 12, 13}};
  const Cell cell = optimized_cell(asked, 0, {});
  std::vector<ThroughputResult> results;
  for (const double seconds : {1.0, 2.0}) {
    RunResult run;
    run.generation_times.assign(20, seconds);
    results.push_back({prompt.text, run});
  }
  time_throughput(context, cell, {prompt, prompt}, 1, 0, 20, nullptr, results);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0].run.generation_times.front(), 1);
  EXPECT_EQ(results[1].run.generation_times.front(), 2);
}

TEST(MemoryRecorder, PutsAnEarlierPartInFront) {
  MemoryRecorder recorder;
  recorder.take("now");
  const double peak = recorder.peak_mb();
  MemorySnapshot before;
  before.stage = "before";
  recorder.restore({before}, peak / 2);
  ASSERT_EQ(recorder.samples().size(), 2U);
  EXPECT_EQ(recorder.samples()[0].stage, "before");
  EXPECT_EQ(recorder.samples()[1].stage, "now");
  EXPECT_EQ(recorder.peak_mb(), peak);
}

}  // namespace
}  // namespace sentinel
