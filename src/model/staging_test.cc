#include "model/staging.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "model/checkpoint/checkpoint_test_util.h"
#include "model/model.h"

namespace sentinel {
namespace {
namespace fs = std::filesystem;

void expect_same(const MatrixView& got, const MatrixView& want) {
  ASSERT_EQ(got.n_out, want.n_out);
  for (int64_t o = 0; o < want.n_out; ++o) {
    for (int64_t i = 0; i < want.n_in; ++i) ASSERT_EQ(got.at(o, i), want.at(o, i)) << want.name;
  }
}

class StagingTest : public test::FolderTest {
 protected:
  ThreadPool pool_{3};
};

TEST_F(StagingTest, CopiesWhatLiesTogetherInAFile) {
  const auto checkpoint = Checkpoint::open(SENTINEL_SOURCE_DIR "/models/sentinel-mini");
  const LayerView& layer = checkpoint->view().layers[3];
  Staging staging(*checkpoint);
  std::deque<MatrixView> qkv;
  for (const HeadView& head : layer.heads) {
    for (const MatrixView* m : {&head.q, &head.k, &head.v}) qkv.push_back(*m);
  }
  staging.stage(qkv, pool_);
  for (size_t i = 0; i < qkv.size(); ++i) {
    const HeadView& head = layer.heads[i / 3];
    const MatrixView& stored = i % 3 == 0 ? head.q : i % 3 == 1 ? head.k : head.v;
    EXPECT_NE(qkv[i].data, stored.data);
    expect_same(qkv[i], stored);
  }
  std::deque<MatrixView> down{layer.down};  // larger than what was there
  staging.stage(down, pool_);
  EXPECT_NE(down[0].data, layer.down.data);
  expect_same(down[0], layer.down);
}

TEST_F(StagingTest, LeavesWhatIsInMemoryOrFarApart) {
  const auto checkpoint = Checkpoint::open(SENTINEL_SOURCE_DIR "/models/sentinel-mini");
  const ModelView& view = checkpoint->view();
  Staging staging(*checkpoint);
  const std::vector<float> values{1, 2, 3, 4};
  const MatrixView here{reinterpret_cast<const std::byte*>(values.data()), DType::f32, 2, 2, 2, 1};
  std::deque<MatrixView> none, memory{here}, mixed{here, view.layers[0].up},
      apart{view.layers[0].heads[0].o, view.layers[7].heads[0].o};
  for (std::deque<MatrixView>* views : {&none, &memory, &mixed, &apart}) {
    const std::deque<MatrixView> before = *views;
    staging.stage(*views, pool_);
    for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ((*views)[i].data, before[i].data);
  }
}

TEST_F(StagingTest, AFileThatHasBeenCutShortIsAnError) {
  test::write_model(folder_, test::tiny_config(), test::tiny_tensors());
  const auto checkpoint = Checkpoint::open(folder_.string());
  Staging staging(*checkpoint);
  fs::resize_file(folder_ / "model.safetensors", 100);
  std::deque<MatrixView> views{checkpoint->view().layers[1].up};
  test::expect_error(ErrorKind::runtime, {"model.safetensors", "cut short"},
                     [&] { staging.stage(views, pool_); });
}

// Token embeddings that no output matrix holds stay in the file.
TEST_F(StagingTest, APromptOfAFileThatHasBeenCutShortIsAnError) {
  auto config = test::tiny_config();
  config["n_positions"] = 32;
  config["tie_word_embeddings"] = false;
  auto tensors = test::tiny_tensors();
  tensors["wpe.weight"] = test::ramp({32, 4}, 0);
  tensors["lm_head.weight"] = test::ramp({5, 4}, -7);
  test::write_model(folder_, config, tensors);
  const auto model = Model::create(Checkpoint::open(folder_.string()), {.level = 1, .threads = 3});
  const auto session = model->new_session(1, 32);
  const std::vector<int32_t> prompt(20, 4);
  std::vector<float> logits(5);
  session->prefill(0, prompt, logits.data());
  fs::resize_file(folder_ / "model.safetensors", 100);
  for (int i = 0; i < 10; ++i) {
    session->truncate(0, 0);
    test::expect_error(ErrorKind::runtime, {"model.safetensors", "cut short"},
                       [&] { session->prefill(0, prompt, logits.data()); });
  }
}

}  // namespace
}  // namespace sentinel
