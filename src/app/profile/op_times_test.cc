#include "app/profile/op_times.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/profile/generation_timer.h"
#include "model/model.h"

namespace sentinel {
namespace {

using nlohmann::json;

constexpr int kTokens = 5;
constexpr int kSteps = kTokens - 1;  // the first token comes from the prompt

class OpTimesTest : public ::testing::Test {
 protected:
  std::unique_ptr<Model> open(int level, int threads) {
    ModelOptions options;
    options.level = level;
    options.threads = threads;
    return Model::create(
        Checkpoint::open(std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini"), options);
  }
  GenerationTiming record(Model& model, OpTrace& trace, int prompt_tokens = 20) {
    GenerationWork work;
    work.prompts = {std::vector<int32_t>(static_cast<size_t>(prompt_tokens), 40)};
    work.generated_tokens = kTokens;
    work.trace = &trace;
    return time_generation(model, work, nullptr);
  }
};

TEST_F(OpTimesTest, EveryOperationOfEveryLayerIsThereOncePerStep) {
  const auto model = open(1, 2);
  OpTrace trace(2, 10000);
  record(*model, trace);
  const int n_layers = model->config().n_layers;
  const OpTimes times = op_times(trace, n_layers);
  EXPECT_EQ(times.steps, kSteps);
  EXPECT_EQ(times.dropped, 0);
  for (int l = 1; l <= n_layers; ++l) {
    const auto& layer = times.decode.layers[static_cast<size_t>(l)];
    for (const Op op : {Op::qkv, Op::attention, Op::attention_output, Op::ffn_up, Op::ffn_down}) {
      EXPECT_EQ(layer[static_cast<size_t>(op)].count, kSteps) << l << to_string(op);
      EXPECT_GT(layer[static_cast<size_t>(op)].seconds, 0) << l << to_string(op);
    }
    EXPECT_EQ(layer[static_cast<size_t>(Op::norm)].count, 2 * kSteps);
  }
  EXPECT_EQ(times.decode.sum(Op::lm_head).count, kSteps);
  EXPECT_EQ(times.decode.sum(Op::sampling).count, kSteps);
  EXPECT_EQ(times.prefill.sum(Op::sampling).count, 1);
}

TEST_F(OpTimesTest, OperationsAddUpToNoMoreThanTheGeneration) {
  for (const int level : {0, 1}) {
    const auto model = open(level, 1);
    OpTrace trace(1, 100000);
    const GenerationTiming timing = record(*model, trace);
    const OpTimes times = op_times(trace, model->config().n_layers);
    double sum = 0;
    for (int op = 0; op < kOps; ++op) {
      sum += times.prefill.sum(static_cast<Op>(op)).seconds;
      sum += times.decode.sum(static_cast<Op>(op)).seconds;
    }
    const double total = times.prefill.total + times.decode.total;
    EXPECT_LE(sum, total) << level;
    EXPECT_GT(sum, 0.5 * total) << level;
    EXPECT_NEAR(total, timing.total, 0.01 + 0.1 * total) << level;
  }
}

TEST_F(OpTimesTest, TheSameTokensComeOutWithAndWithoutARecording) {
  const auto model = open(1, 2);
  OpTrace trace(2, 10000);
  const auto traced = record(*model, trace);
  GenerationWork work;
  work.prompts = {std::vector<int32_t>(20, 40)};
  work.generated_tokens = kTokens;
  EXPECT_EQ(time_generation(*model, work, nullptr).tokens, traced.tokens);
}

TEST_F(OpTimesTest, AFullRecordingCountsWhatItLeavesOut) {
  const auto model = open(1, 1);
  OpTrace large(1, 10000), small(1, 10);
  record(*model, large);
  record(*model, small);
  EXPECT_EQ(small.events(0).size(), 10U);
  EXPECT_EQ(small.dropped() + 10, static_cast<int64_t>(large.events(0).size()));
}

// Any two events of a thread are apart or one holds the other.
TEST_F(OpTimesTest, TheChromeTraceIsValidAndNests) {
  const auto model = open(1, 2);
  OpTrace trace(2, 10000);
  record(*model, trace, 100);
  const json document = json::parse(chrome_trace(trace, "a \"title\"\xff"));
  std::map<int, std::vector<std::pair<double, double>>> open_events;
  std::map<int, double> last_begin;
  int steps = 0, complete = 0;
  for (const json& event : document["traceEvents"]) {
    if (event["ph"] == "M") continue;
    ASSERT_EQ(event["ph"], "X");
    ++complete;
    steps += event["name"] == "step";
    const int thread = event["tid"];
    const double begin = event["ts"], end = begin + event["dur"].get<double>();
    EXPECT_GE(event["dur"].get<double>(), 0);
    EXPECT_GE(begin, last_begin[thread]);
    last_begin[thread] = begin;
    auto& stack = open_events[thread];
    constexpr double kRounding = 1e-6;  // of the sums above, microseconds
    while (!stack.empty() && stack.back().second <= begin + kRounding) stack.pop_back();
    const double limit = stack.empty() ? end : stack.back().second;
    EXPECT_LE(end, limit + kRounding) << event;
    stack.emplace_back(begin, end);
  }
  EXPECT_EQ(steps, kSteps);
  // The other thread may have come too late for every share.
  EXPECT_TRUE(open_events.contains(0) && open_events.size() <= 2);
  EXPECT_EQ(complete, static_cast<int>(trace.events(0).size() + trace.events(1).size()));
}

TEST_F(OpTimesTest, OperationBytesAddUpToTheBytesOfAToken) {
  for (const int level : {0, 1, 2}) {
    const auto model = open(level, 1);
    if (level > 0) model->heads().set_state({0, 0}, HeadState::withdrawn);
    int64_t sum = 0;
    for (const int64_t bytes : model->operation_bytes(50)) sum += bytes;
    const auto whole = static_cast<double>(model->bytes_per_token(50));
    // Level 0 counts all parameters, the unused rows of the embeddings among them.
    EXPECT_NEAR(static_cast<double>(sum), whole, (level == 0 ? 0.2 : 0.02) * whole) << level;
  }
}

}  // namespace
}  // namespace sentinel
