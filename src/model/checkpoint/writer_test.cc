#include "model/checkpoint/writer.h"

#include "base/files.h"
#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/checkpoint_test_util.h"

namespace sentinel {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;
using test::expect_error;

class WriterTest : public test::FolderTest {
 protected:
  WriterTest() {
    for (const auto& [name, tensor] : tensors_) {
      const auto bytes = std::as_bytes(std::span(tensor.bytes));
      output_.tensors.push_back(tensor_from_bytes(name, DType::f32, tensor.shape, bytes));
    }
    output_.config = &config_;
  }
  // Nothing else lies beside what was asked for.
  std::vector<std::string> files(const fs::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  OutputTensor ones(DType dtype, std::vector<int64_t> shape, size_t count) {
    return {"x", dtype, std::move(shape),
            [count](TensorSink& sink) { sink.put(std::vector<float>(count, 1.0F)); }};
  }

  const test::TestTensors tensors_ = test::tiny_tensors();
  json config_ = test::tiny_config();
  CheckpointOutput output_;
  fs::path out_ = folder_ / "out";
};

TEST_F(WriterTest, ReadsBackBitExactly) {
  output_.extra_files = {{"vocab.json", "{}"}};
  write_checkpoint(out_, output_);
  EXPECT_EQ(files(folder_), std::vector<std::string>{"out"});
  EXPECT_EQ(files(out_),
            (std::vector<std::string>{"config.json", "model.safetensors", "vocab.json"}));
  const auto checkpoint = Checkpoint::open(out_.string());
  EXPECT_EQ(checkpoint->raw_config(), config_);
  ASSERT_EQ(checkpoint->tensors().size(), tensors_.size());
  for (const auto& tensor : checkpoint->tensors()) {
    const auto& expected = tensors_.at(tensor.name);
    ASSERT_EQ(tensor.bytes, expected.bytes.size());
    EXPECT_EQ(std::memcmp(tensor.data, expected.bytes.data(), tensor.bytes), 0) << tensor.name;
  }
}

TEST_F(WriterTest, ConvertsStreamedFloats) {
  // More than one buffer's worth, in uneven pieces.
  const int64_t count = 3 * 40000;
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    config_["vocab_size"] = count / 4;
    for (auto& tensor : output_.tensors) {
      if (tensor.name != "wte.weight") continue;
      tensor.dtype = dtype;
      tensor.shape = {count / 4, 4};
      tensor.produce = [](TensorSink& sink) {
        for (int piece = 0; piece < 3; ++piece) {
          std::vector<float> values(40000);
          for (int i = 0; i < 40000; ++i) values[i] = static_cast<float>((piece + i) % 128);
          sink.put(values);
        }
      };
    }
    write_checkpoint(out_ / to_string(dtype), output_);
    const auto checkpoint = Checkpoint::open((out_ / to_string(dtype)).string());
    const MatrixView& wte = checkpoint->view().token_embedding;
    ASSERT_EQ(wte.dtype, dtype);
    for (int64_t i = 0; i < count; ++i) {
      ASSERT_EQ(wte.at(i / 4, i % 4), static_cast<float>((i / 40000 + i % 40000) % 128));
    }
  }
}

TEST_F(WriterTest, PrunedShapesReadBack) {
  config_["pruned_heads"] = {{"1", {0, 1}}};
  config_["sentinel"] = {{"ffn_dims", {8, 0}}};
  const auto pruned = test::tiny_tensors("", {2, 0}, {8, 0});
  output_.tensors.clear();
  for (const auto& [name, tensor] : pruned) {
    const auto bytes = std::as_bytes(std::span(tensor.bytes));
    output_.tensors.push_back(tensor_from_bytes(name, DType::f32, tensor.shape, bytes));
  }
  for (const int shards : {1, 4}) {
    output_.shards = shards;
    const fs::path out = folder_ / fmt::format("s{}", shards);
    write_checkpoint(out, output_);
    const auto checkpoint = Checkpoint::open(out.string());
    EXPECT_EQ(checkpoint->config().total_heads(), 2);
    EXPECT_TRUE(checkpoint->view().layers[1].heads.empty());
  }
}

TEST_F(WriterTest, ShardsNeverOutnumberTensors) {
  output_.shards = 1000;
  write_checkpoint(out_, output_);
  const auto checkpoint = Checkpoint::open(out_.string());
  EXPECT_EQ(checkpoint->tensors().size(), tensors_.size());
  EXPECT_EQ(files(out_).size(), tensors_.size() + 2);  // config and index
}

TEST_F(WriterTest, CopiesTokenizerFiles) {
  output_.tokenizer_source = SENTINEL_SOURCE_DIR "/models/sentinel-mini";
  write_checkpoint(out_.string() + "/", output_);
  for (const char* name : {"tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"}) {
    EXPECT_EQ(read_file(out_ / name), read_file(output_.tokenizer_source / name)) << name;
  }
}

TEST_F(WriterTest, LeavesNothingBehindWhenItFails) {
  const auto fails = [&](ErrorKind kind, const OutputTensor& last, const std::string& part) {
    output_.tensors.push_back(last);
    expect_error(kind, {part}, [&] { write_checkpoint(out_, output_); });
    output_.tensors.pop_back();
    EXPECT_TRUE(files(folder_).empty());
  };
  fails(ErrorKind::runtime, ones(DType::f32, {2}, 3), "x: more elements");
  fails(ErrorKind::runtime, ones(DType::f16, {2}, 1), "x: 2 bytes fewer");
  fails(ErrorKind::usage, ones(DType::f16, {-1}, 1), "x: shape [-1]");
  fails(ErrorKind::usage, ones(DType::f32, {INT64_MAX, 4}, 1), "impossible");
  OutputTensor twice = ones(DType::f32, {4}, 4);
  twice.name = "ln_f.bias";
  fails(ErrorKind::usage, twice, "ln_f.bias");
  OutputTensor huge = ones(DType::f16, {1}, 1);
  huge.produce = [](TensorSink& sink) { sink.put(std::vector<float>{70000.0F}); };
  fails(ErrorKind::runtime, huge, "f16 cannot store");
  OutputTensor stopped = ones(DType::f32, {1}, 1);
  stopped.produce = [](TensorSink&) { throw Error(ErrorKind::interrupted, "stopped"); };
  fails(ErrorKind::interrupted, stopped, "stopped");
}

TEST_F(WriterTest, NeverTouchesWhatExists) {
  fs::create_directories(out_);
  expect_error(ErrorKind::usage, {out_.string(), "exists"},
               [&] { write_checkpoint(out_, output_); });
  EXPECT_TRUE(files(out_).empty());
  test::write_bytes(folder_ / "file", "x");
  expect_error(ErrorKind::usage, {"exists"}, [&] { write_checkpoint(folder_ / "file", output_); });
  expect_error(ErrorKind::usage, {"file"},
               [&] { write_checkpoint(folder_ / "file" / "below", output_); });
  expect_error(ErrorKind::usage, {"no name"}, [&] { write_checkpoint("", output_); });
}

}  // namespace
}  // namespace sentinel
