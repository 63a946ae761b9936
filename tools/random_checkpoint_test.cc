#include "random_checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/checkpoint_test_util.h"

namespace sentinel {
namespace {
namespace fs = std::filesystem;

RandomCheckpoint small() {
  return {.layers = 3, .heads = 4, .d_model = 64, .vocab = 1000, .context = 32, .seed = 5};
}

class RandomCheckpointTest : public test::FolderTest {};

TEST_F(RandomCheckpointTest, OpensWithTheAskedShapeAndSpread) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    RandomCheckpoint spec = small();
    spec.dtype = dtype;
    spec.ffn = 96;
    const fs::path out = folder_ / to_string(dtype);
    write_random_checkpoint(out, spec);
    const auto checkpoint = Checkpoint::open(out.string());
    const ModelConfig& config = checkpoint->config();
    EXPECT_EQ(config.n_layers, 3);
    EXPECT_EQ(config.total_heads(), 12);
    EXPECT_EQ(config.layers[0].ffn_dim, 96);
    EXPECT_EQ(config.context_length, 32);
    const MatrixView& wte = checkpoint->view().token_embedding;
    EXPECT_EQ(wte.dtype, dtype);
    double sum = 0, squares = 0;
    for (int64_t o = 0; o < wte.n_out; ++o) {
      for (int64_t i = 0; i < wte.n_in; ++i) {
        sum += wte.at(o, i);
        squares += wte.at(o, i) * wte.at(o, i);
      }
    }
    const double n = static_cast<double>(wte.n_out * wte.n_in);
    EXPECT_NEAR(sum / n, 0, 0.0004);  // 5 standard errors
    EXPECT_NEAR(std::sqrt(squares / n), 0.02, 0.0004);
    EXPECT_EQ(checkpoint->view().layers[2].norm1_weight.at(63), 1);
  }
}

TEST_F(RandomCheckpointTest, SameSeedSameBytesOtherSeedOthers) {
  RandomCheckpoint spec = small();
  write_random_checkpoint(folder_ / "a", spec);
  write_random_checkpoint(folder_ / "b", spec);
  spec.seed = 6;
  write_random_checkpoint(folder_ / "c", spec);
  const std::string a = read_file(folder_ / "a" / "model.safetensors");
  EXPECT_EQ(a, read_file(folder_ / "b" / "model.safetensors"));
  EXPECT_NE(a, read_file(folder_ / "c" / "model.safetensors"));
}

TEST_F(RandomCheckpointTest, ShardsHoldTheSameModel) {
  RandomCheckpoint spec = small();
  write_random_checkpoint(folder_ / "whole", spec);
  spec.shards = 3;
  write_random_checkpoint(folder_ / "shards", spec);
  EXPECT_TRUE(fs::exists(folder_ / "shards" / "model-00003-of-00003.safetensors"));
  const auto whole = Checkpoint::open((folder_ / "whole").string());
  const auto shards = Checkpoint::open((folder_ / "shards").string());
  ASSERT_EQ(whole->tensors().size(), shards->tensors().size());
  for (size_t i = 0; i < whole->tensors().size(); ++i) {
    const CheckpointTensor &a = whole->tensors()[i], &b = shards->tensors()[i];
    EXPECT_EQ(a.name, b.name);
    ASSERT_EQ(a.bytes, b.bytes);
    EXPECT_EQ(std::memcmp(a.data, b.data, a.bytes), 0) << a.name;
  }
}

TEST_F(RandomCheckpointTest, TokenizerFillsTheVocabulary) {
  write_random_checkpoint(folder_ / "m", small());
  const auto vocab = read_json(folder_ / "m" / "vocab.json");
  EXPECT_EQ(vocab.size(), 1000U);
  EXPECT_EQ(vocab.at("!"), 0);
  EXPECT_EQ(vocab.at("\u0100"), 188);  // byte 0, the first invisible one
  EXPECT_EQ(vocab.at("!!"), 256);
  EXPECT_EQ(vocab.at("<|endoftext|>"), 999);
  const std::string merges = read_file(folder_ / "m" / "merges.txt");
  EXPECT_EQ(std::count(merges.begin(), merges.end(), '\n'), 1 + 1000 - 257);
}

TEST_F(RandomCheckpointTest, RefusesImpossibleShapes) {
  RandomCheckpoint spec = small();
  spec.heads = 5;
  EXPECT_THROW(write_random_checkpoint(folder_ / "m", spec), Error);
  spec = small();
  spec.vocab = 256;
  EXPECT_THROW(write_random_checkpoint(folder_ / "m", spec), Error);
  spec = small();
  spec.shards = 0;
  EXPECT_THROW(write_random_checkpoint(folder_ / "m", spec), Error);
  EXPECT_THROW(write_random_checkpoint(folder_, small()), Error);  // exists
  EXPECT_FALSE(fs::exists(folder_ / "m"));
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace sentinel
