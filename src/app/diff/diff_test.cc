#include "app/diff/diff.h"

#include "model/checkpoint/checkpoint_test_util.h"

namespace sentinel {
namespace {

class Diff : public test::FolderTest {
 protected:
  std::shared_ptr<const Checkpoint> open(const std::string& name, test::TestTensors tensors,
                                         std::optional<float> lm_head) {
    nlohmann::json config = test::tiny_config();
    if (lm_head) {
      config["tie_word_embeddings"] = false;
      tensors["lm_head.weight"] = test::ramp({5, 4}, *lm_head);
    }
    test::write_model(folder_ / name, config, tensors);
    return Checkpoint::open((folder_ / name).string());
  }
};

TEST_F(Diff, EveryTensorCounts) {
  const auto a = open("a", test::tiny_tensors(), -7);
  EXPECT_TRUE(diff_checkpoints(*a, *open("same", test::tiny_tensors(), -7)).identical);
  for (const auto& [name, tensor] : test::tiny_tensors()) {
    test::TestTensors moved = test::tiny_tensors();
    moved.at(name) = test::ramp(tensor.shape, -500);
    EXPECT_FALSE(diff_checkpoints(*a, *open("moved", moved, -7)).identical) << name;
  }
}

TEST_F(Diff, AnOutputMatrixOfItsOwnIsCompared) {
  const auto a = open("a", test::tiny_tensors(), -7), b = open("b", test::tiny_tensors(), -8);
  const CheckpointDiff diff = diff_checkpoints(*a, *b);
  EXPECT_FALSE(diff.identical);
  EXPECT_GT(diff.lm_head, 0);
  EXPECT_EQ(diff.token_embedding, 0);
  const auto tied = open("tied", test::tiny_tensors(), std::nullopt);
  EXPECT_GT(diff_checkpoints(*a, *tied).lm_head, 0);
  EXPECT_EQ(diff_checkpoints(*tied, *tied).lm_head, 0);
}

}  // namespace
}  // namespace sentinel
