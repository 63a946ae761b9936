#include "model/checkpoint/checkpoint.h"

#include <utility>

#include "base/files.h"
#include "model/checkpoint/checkpoint_test_util.h"

namespace sentinel {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;
using test::expect_error;
using test::TestTensors;
using test::tiny_config;
using test::tiny_tensors;
using test::write_bytes;
using test::write_model;

class CheckpointTest : public test::FolderTest {
 protected:
  std::shared_ptr<const Checkpoint> open(const json& config, const TestTensors& tensors) {
    write_model(folder_, config, tensors);
    return Checkpoint::open(folder_.string());
  }
  void refused(const json& config, const TestTensors& tensors,
               const std::vector<std::string>& parts) {
    expect_error(ErrorKind::bad_input, parts, [&] { open(config, tensors); });
  }
  void refused(const std::vector<std::string>& parts) {
    expect_error(ErrorKind::bad_input, parts, [&] { Checkpoint::open(folder_.string()); });
  }
  const std::string weights_ = (folder_ / "model.safetensors").string();
};

// The value of element `i` of a tensor in the test file.
float stored(const TestTensors& tensors, const std::string& name, int64_t i) {
  float value;
  std::memcpy(&value, tensors.at(name).bytes.data() + i * 4, 4);
  return value;
}

TEST_F(CheckpointTest, OpensTheBundledModel) {
  const auto checkpoint = Checkpoint::open(SENTINEL_SOURCE_DIR "/models/sentinel-mini");
  EXPECT_EQ(checkpoint->config().n_layers, 8);
  EXPECT_EQ(checkpoint->config().eos_token, 4095);
  EXPECT_EQ(checkpoint->parameter_count(), 7498240);
  EXPECT_EQ(checkpoint->tensors().size(), 8U * 12 + 4);
  EXPECT_EQ(checkpoint->tensors().front().name, "wte.weight");
  EXPECT_EQ(checkpoint->raw_config().at("n_ctx"), 512);
  // Read from the file by other means.
  const HeadView& head = checkpoint->view().layers[1].heads[3];
  EXPECT_EQ(head.q.at(5, 7), 0.0699462890625F);
  EXPECT_EQ(head.k.at(5, 7), 0.1492919921875F);
  EXPECT_EQ(head.v.at(5, 7), 0.0266571044921875F);
  EXPECT_EQ(head.o.at(7, 5), 0.026031494140625F);
  EXPECT_EQ(head.k_bias.at(3), -0.08990478515625F);
  EXPECT_EQ(checkpoint->view().layers[2].up.at(700, 9), 0.0518798828125F);
  EXPECT_EQ(checkpoint->view().layers[2].down.at(9, 700), 0.029541015625F);
  checkpoint->release_pages();
  EXPECT_EQ(head.q.at(5, 7), 0.0699462890625F);
}

TEST_F(CheckpointTest, RowsReadFromTheFileAreThoseOfTheView) {
  const auto checkpoint = Checkpoint::open(SENTINEL_SOURCE_DIR "/models/sentinel-mini");
  const ModelView& view = checkpoint->view();
  // `up` is stored the other way round: its rows are no stretch of the file.
  for (const MatrixView* m :
       {&view.token_embedding, &view.position_embedding, &view.layers[0].up}) {
    std::vector<float> row(static_cast<size_t>(m->n_in));
    for (const int64_t r : {int64_t{0}, m->n_out / 3, m->n_out - 1}) {
      checkpoint->read_row(*m, r, row.data());
      for (int64_t i = 0; i < m->n_in; ++i) ASSERT_EQ(row[i], m->at(r, i)) << m->name;
    }
  }
  MatrixView wide = view.token_embedding;  // more than is read at once
  wide.n_in *= std::exchange(wide.n_out, 1);
  std::vector<float> row(static_cast<size_t>(wide.n_in));
  checkpoint->read_row(wide, 0, row.data());
  for (int64_t i = 0; i < wide.n_in; ++i) ASSERT_EQ(row[i], wide.at(0, i));
  const std::vector<float> values{1, 2, 3, 4};  // not in the file
  checkpoint->read_row({reinterpret_cast<const std::byte*>(values.data()), DType::f32, 2, 2, 2, 1},
                       1, row.data());
  EXPECT_EQ(row[0], 3);
  EXPECT_EQ(row[1], 4);
}

TEST_F(CheckpointTest, ViewsFollowTheStorageOrder) {
  for (const char* prefix : {"", "transformer."}) {
    const auto checkpoint = open(tiny_config(), tiny_tensors(prefix));
    const TestTensors tensors = tiny_tensors();
    const LayerView& layer = checkpoint->view().layers[1];
    ASSERT_EQ(layer.heads.size(), 2U);
    for (int h = 0; h < 2; ++h) {
      const HeadView& head = layer.heads[h];
      for (int r = 0; r < 2; ++r) {    // element of the head
        for (int c = 0; c < 4; ++c) {  // element of the residual stream
          const int column = 2 * h + r;
          const auto at = [&](int third) {
            return stored(tensors, "h.1.attn.c_attn.weight", c * 12 + third * 4 + column);
          };
          EXPECT_EQ(head.q.at(r, c), at(0));
          EXPECT_EQ(head.k.at(r, c), at(1));
          EXPECT_EQ(head.v.at(r, c), at(2));
          EXPECT_EQ(head.o.at(c, r), stored(tensors, "h.1.attn.c_proj.weight", column * 4 + c));
        }
        EXPECT_EQ(head.v_bias.at(r), stored(tensors, "h.1.attn.c_attn.bias", 8 + 2 * h + r));
      }
    }
    EXPECT_EQ(layer.up.at(6, 1), stored(tensors, "h.1.mlp.c_fc.weight", 1 * 8 + 6));
    EXPECT_EQ(layer.down.at(1, 6), stored(tensors, "h.1.mlp.c_proj.weight", 6 * 4 + 1));
    EXPECT_EQ(layer.norm2_bias.at(3), stored(tensors, "h.1.ln_2.bias", 3));
    EXPECT_EQ(checkpoint->view().position_embedding.at(2, 1), stored(tensors, "wpe.weight", 9));
    EXPECT_EQ(checkpoint->view().lm_head.data, checkpoint->view().token_embedding.data);
    EXPECT_EQ(checkpoint->origin(), "folder " + folder_.string());
  }
}

TEST_F(CheckpointTest, AFileOfTheFolderStandsForIt) {
  write_model(folder_, tiny_config(), tiny_tensors());
  for (const char* name : {"config.json", "model.safetensors"}) {
    EXPECT_EQ(Checkpoint::open((folder_ / name).string())->folder(), folder_);
  }
  fs::rename(folder_ / "model.safetensors", folder_ / "other.safetensors");
  EXPECT_EQ(Checkpoint::open((folder_ / "other.safetensors").string())->config().n_layers, 2);
  refused({"missing: model.safetensors"});
  fs::remove(folder_ / "config.json");
  expect_error(ErrorKind::bad_input, {"other.safetensors", "no config.json"},
               [&] { Checkpoint::open((folder_ / "other.safetensors").string()); });
  write_bytes(folder_ / "notes.txt", "x");
  expect_error(ErrorKind::bad_input, {"notes.txt", "not a model"},
               [&] { Checkpoint::open((folder_ / "notes.txt").string()); });
}

TEST_F(CheckpointTest, SeparateAndTiedHeads) {
  TestTensors tensors = tiny_tensors();
  json untied = tiny_config();
  untied["tie_word_embeddings"] = false;
  refused(untied, tensors, {"\"lm_head.weight\"", "missing"});
  const int64_t tied_count = open(tiny_config(), tensors)->parameter_count();

  tensors["lm_head.weight"] = test::ramp({5, 4}, -7);
  const auto separate = open(untied, tensors);
  EXPECT_EQ(separate->view().lm_head.at(1, 2), -1);
  EXPECT_EQ(separate->parameter_count(), tied_count + 20);
  refused(tiny_config(), tensors, {"\"lm_head.weight\"", "differs", "tie_word_embeddings"});

  tensors["lm_head.weight"] = tensors["wte.weight"];
  EXPECT_EQ(open(tiny_config(), tensors)->parameter_count(), tied_count);
}

TEST_F(CheckpointTest, OldMaskBuffersAreIgnored) {
  TestTensors tensors = tiny_tensors("transformer.");
  const size_t count = open(tiny_config(), tensors)->tensors().size();
  tensors["transformer.h.0.attn.bias"] = {{1, 1, 3, 3}, "U8", std::string(9, '\1')};
  tensors["transformer.h.0.attn.masked_bias"] = test::ramp({}, -1e4F);
  EXPECT_EQ(open(tiny_config(), tensors)->tensors().size(), count);
}

TEST_F(CheckpointTest, EveryTensorHasItsPlace) {
  const TestTensors good = tiny_tensors();
  for (const auto& [name, tensor] : good) {
    TestTensors tensors = good;
    tensors.erase(name);
    refused(tiny_config(), tensors, {weights_, "\"" + name + "\"", "missing"});

    tensors = good;
    tensors[name].shape.push_back(1);
    refused(tiny_config(), tensors, {weights_, "\"" + name + "\"", "has shape", "expected"});

    tensors = good;
    tensors[name].dtype = "I32";
    refused(tiny_config(), tensors, {weights_, "\"" + name + "\"", "I32", "F32, F16 or BF16"});
  }
  TestTensors tensors = good;
  tensors["score.weight"] = test::ramp({2}, 0);
  refused(tiny_config(), tensors, {weights_, "\"score.weight\"", "no place"});
  tensors = good;
  tensors["h.2.ln_1.weight"] = test::ramp({4}, 0);  // a layer too many
  refused(tiny_config(), tensors, {"\"h.2.ln_1.weight\""});
  tensors = good;
  tensors["transformer.ln_f.bias"] = tensors["ln_f.bias"];
  refused(tiny_config(), tensors, {"\"ln_f.bias\"", "twice"});
}

TEST_F(CheckpointTest, PrunedLayersMayBeEmpty) {
  json config = tiny_config();
  config["pruned_heads"] = {{"0", {0}}, {"1", {0, 1}}};
  config["sentinel"] = {{"ffn_dims", {3, 0}}};
  const TestTensors tensors = tiny_tensors("", {1, 0}, {3, 0});
  const auto checkpoint = open(config, tensors);
  const ModelView& view = checkpoint->view();
  ASSERT_EQ(view.layers[0].heads.size(), 1U);
  EXPECT_EQ(view.layers[0].heads[0].k.at(1, 2),
            stored(tensors, "h.0.attn.c_attn.weight", 2 * 6 + 2 + 1));
  EXPECT_EQ(view.layers[0].up.n_out, 3);
  EXPECT_TRUE(view.layers[1].heads.empty());
  EXPECT_EQ(view.layers[1].up.n_out, 0);
  EXPECT_EQ(view.layers[1].down.n_in, 0);
  EXPECT_EQ(view.layers[1].o_bias.n, 4);
  EXPECT_EQ(checkpoint->config().layers[0].head_ids, std::vector<int>{1});
  refused(config, tiny_tensors(), {"\"h.0.attn.c_attn.weight\"", "[4, 12]", "[4, 6]"});
}

TEST_F(CheckpointTest, ReadsShardsThatAgreeWithTheirIndex) {
  TestTensors first, second;
  json map;
  for (const auto& [name, tensor] : tiny_tensors()) {
    const bool in_first = name < "h.1";
    (in_first ? first : second)[name] = tensor;
    map[name] = in_first ? "1.safetensors" : "2.safetensors";
  }
  const auto write = [&] {
    write_bytes(folder_ / "config.json", tiny_config().dump());
    write_bytes(folder_ / "1.safetensors", test::safetensors_bytes(first));
    write_bytes(folder_ / "2.safetensors", test::safetensors_bytes(second));
    write_bytes(folder_ / "model.safetensors.index.json", json{{"weight_map", map}}.dump());
  };
  write();
  const auto checkpoint = Checkpoint::open(folder_.string());
  EXPECT_EQ(checkpoint->tensors().size(), tiny_tensors().size());
  EXPECT_EQ(Checkpoint::open((folder_ / "2.safetensors").string())->config().n_layers, 2);

  second["extra"] = test::ramp({1}, 0);
  write();
  refused({"index.json", "\"extra\"", "2.safetensors"});
  second.erase("extra");
  second.erase("ln_f.bias");
  write();
  refused({"index.json", "\"ln_f.bias\"", "2.safetensors"});
  fs::remove(folder_ / "1.safetensors");
  refused({folder_.string(), "missing: 1.safetensors"});
}

TEST_F(CheckpointTest, BrokenFilesAreOneLineErrors) {
  refused({folder_.string(), "missing: config.json, model.safetensors"});
  write_bytes(folder_ / "pytorch_model.bin", "x");
  refused({"pytorch_model.bin", "safetensors"});
  write_model(folder_, tiny_config(), tiny_tensors());
  const std::string good = read_file(weights_);
  write_bytes(weights_, "");
  refused({weights_, "empty"});
  write_bytes(weights_, good.substr(0, good.size() - 100));
  refused({weights_, "truncated"});
  write_bytes(weights_, good);
  write_bytes(folder_ / "config.json", "");
  refused({"config.json", "empty"});
  write_bytes(folder_ / "config.json", "{\"model_type\": ");
  refused({"config.json", "JSON"});
  write_bytes(folder_ / "config.json", R"({"model_type": "t5"})");
  refused({"config.json", "\"t5\"", "gpt2"});
  expect_error(ErrorKind::bad_input, {"/no/such/folder"},
               [] { Checkpoint::open("/no/such/folder"); });
  expect_error(ErrorKind::bad_input, {"empty"}, [] { Checkpoint::open(""); });
  expect_error(ErrorKind::bad_input, {"/dev/null"}, [] { Checkpoint::open("/dev/null"); });
}

}  // namespace
}  // namespace sentinel
