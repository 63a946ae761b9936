#include "model/trace_size.h"

#include <gtest/gtest.h>

#include "model/checkpoint/checkpoint_test_util.h"

namespace sentinel {
namespace {

class TraceSize : public test::FolderTest {};

// What the estimate is for: with a chunk size of its own a recording would be cut unnoticed.
TEST_F(TraceSize, APromptOfManyChunksAndAStepFit) {
  constexpr int kTokens = 2100, kChunks = 5;
  nlohmann::json config = test::tiny_config();
  test::TestTensors tensors = test::tiny_tensors();
  config["n_positions"] = kTokens + 1;
  tensors["wpe.weight"] = test::ramp({kTokens + 1, 4}, 0);
  test::write_model(folder_, config, tensors);
  const auto checkpoint = Checkpoint::open(folder_.string());
  std::vector<int32_t> tokens(kTokens);
  for (int i = 0; i < kTokens; ++i) tokens[i] = i % 5;
  for (const bool protect_first : {false, true}) {
    const auto model = Model::create(
        checkpoint, {.level = 1, .threads = 2, .isa = "scalar", .protect_first = protect_first});
    OpTrace trace(2,
                  static_cast<size_t>(trace_events(*model, prompt_passes(kTokens) + 1, kTokens)));
    const auto session = model->new_session(1, kTokens + 1);
    session->set_trace(&trace);
    std::vector<float> logits(5);
    session->prefill(0, tokens, logits.data());
    session->step(std::span(tokens).first(1), logits.data());
    EXPECT_EQ(trace.dropped(), 0);
    EXPECT_GT(trace.events(0).size(), size_t{kChunks * 2 * 7});
  }
}

}  // namespace
}  // namespace sentinel
